"""What config/ci/ offers, tried."""
