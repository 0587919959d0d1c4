//! CWMP (TR-069) codec, sessions and digest authentication; sans-IO
