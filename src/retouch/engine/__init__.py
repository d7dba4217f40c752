"""Denoising: plans become trajectories, and rows of many trajectories share one model call."""
