"""What people read of a run: tables, claims, figures, the gallery."""
