//! OLT drivers: sans-IO dialogue engine, parsers, pure plans, SSH and Telnet transports
