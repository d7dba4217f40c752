"""What only the embedded model needs: its small VAE, and a text encoder that sketches what it names."""
