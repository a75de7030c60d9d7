"""The gallery: one HTML file in which corrupted images are browsed beside their clean ones."""
