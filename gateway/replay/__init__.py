"""What a change of the policy would have done to calls that were recorded."""
