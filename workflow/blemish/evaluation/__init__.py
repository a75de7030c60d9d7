"""How well a detector finds artifacts, and how sure that is (§4.4)."""
