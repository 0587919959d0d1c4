//! SNMP: OID maps and samples
