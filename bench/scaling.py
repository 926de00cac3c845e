"""Two workers against one."""

from dataclasses import dataclass

from bench.measures import Sample

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Scaling:
    """`overlapping`: the second worker had to share its core with the mock and the load, so throughput says little."""

    one: Sample
    two: Sample
    overlapping: bool

    @property
    def by_throughput(self) -> float:
        return self.two.per_second / self.one.per_second

    @property
    def by_cpu(self) -> float | None:
        """What two undisturbed cores would give: calls cost `two.cpu_us` each, and there are two to pay with."""
        if not self.one.cpu_us or not self.two.cpu_us:
            return None
        return WORKERS * self.one.cpu_us / self.two.cpu_us

    @property
    def reached(self) -> float | None:
        return self.by_cpu if self.overlapping else self.by_throughput
