//! CWMP HTTP server and connection requests
