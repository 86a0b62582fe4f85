"""The migrations, one a file. A file names its revision and the previous one."""
