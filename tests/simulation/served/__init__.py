"""The programs that the simulation starts, to play its runs over real sockets."""
