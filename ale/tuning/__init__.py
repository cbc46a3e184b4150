"""Fine-tuning the encoder on human labels: torch, arrays and nothing else; who reads the weights is `ale.io`."""
