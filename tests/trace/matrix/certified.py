"""`llmgw` with every candidate certified, which otherwise takes traffic: a process that tests start."""

from __future__ import annotations

from unittest.mock import patch

from gateway.__main__ import main
from gateway.route.candidates import Standing
from gateway.route.certificate.certificates import Certificates
from gateway.route.decision import Held

if __name__ == "__main__":
    with patch.object(Certificates, "held", lambda *_: Held(Standing.CERTIFIED)):
        main()
