"""Each section of a policy, from what the admin wrote to the frozen types that the stages use."""
