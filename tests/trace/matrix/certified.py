"""`llmgw` with every candidate certified, which otherwise takes traffic: a process that tests start."""

from __future__ import annotations

from functools import partial

from gateway.__main__ import main
from gateway.route import router
from gateway.route.candidates import Standing
from gateway.route.decision import Circumstances

if __name__ == "__main__":
    vars(router).update(Circumstances=partial(Circumstances, standing=lambda *_: Standing.CERTIFIED))
    main()
