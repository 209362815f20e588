"""*GAIT-prop* (Ahmad, van Gerven and Ambrogioni 2020)."""
