"""The rails against real processes: a simulated bank, and Stripe's stand-in."""
