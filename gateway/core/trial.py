"""What came of asking somebody else the same call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrialResult:
    """Of the call `request_id`: `candidate` is whom the comparison is about, `asked` who was asked beside the call, which is
    the reference in an audit. `probability`: of how many such calls that is done. The qualities, from 0 to 1, are None where
    nothing was compared, for the `reason`. `candidate_is` and `reference_is` say what the two are, by the deployments that they
    stand for, whatever a policy calls them (see route.certificate.certificates.described)."""

    request_id: str
    route: str
    candidate: str
    asked: str
    is_audit: bool
    probability: float
    reference_quality: float | None
    candidate_quality: float | None
    reason: str | None
    candidate_is: str = ""
    reference_is: str = ""
