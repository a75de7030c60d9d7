"""RichHF-18k's artifact maps become binary masks, and masks and images sets (§4.1)."""
