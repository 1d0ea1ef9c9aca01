"""From Istio's resources to Envoy's: what istiod does, for what the lab supports. Pure but for the control plane."""
