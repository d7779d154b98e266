"""The fault suite: break it every way there is, and show that nothing was lost or doubled. `make faults` runs it."""
