"""HTTP: one engine a device behind the dialects that clients already speak."""
