"""The demo: real money movements through real faults, told step by step, with every claim checked."""
