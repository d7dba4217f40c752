"""The same application several times: replicas of Ray Serve that share one folder of jobs."""
