"""No gateway at all: the load calls the mock provider, which every latency is compared with."""

from bench.contender import Contender, Site


def prepare(site: Site) -> Contender:
    return Contender(name="direct", version="mock provider", port=site.mock_port)
