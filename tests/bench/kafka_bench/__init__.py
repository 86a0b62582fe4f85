"""The parts of `bench_kafka.py`: a bare loop, the load, the rounds and the rows."""
