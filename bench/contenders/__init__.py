"""Every contender, by name: a function that installs what is missing, configures it and says how it is run."""

from collections.abc import Callable, Mapping

from bench.contender import Contender, Site
from bench.contenders import direct, envoy, litellm, llmgw, nginx, portkey

CONTENDERS: Mapping[str, Callable[[Site], Contender]] = {
    "direct": direct.prepare,
    "llmgw": llmgw.prepare,
    "nginx": nginx.prepare,
    "envoy": envoy.prepare,
    "litellm": litellm.prepare,
    "portkey": portkey.prepare,
}
