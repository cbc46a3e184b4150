"""What docker-compose.yml runs besides `ale serve` and `ale worker`."""
