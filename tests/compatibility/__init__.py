"""Every client against every provider dialect: real programs, the gateway, and a provider that is not ours."""
