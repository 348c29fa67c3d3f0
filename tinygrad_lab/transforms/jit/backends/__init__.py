"""What runs programs: each has ``compile(program)``, which gives a function of the inputs."""
