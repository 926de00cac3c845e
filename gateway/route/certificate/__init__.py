"""What shows that a cheaper candidate may answer for a route's reference: certificates, earned by labels and lost by them."""
