"""What a sweep asks for: points, how they are written as text, who they are, and when they have been simulated enough."""
