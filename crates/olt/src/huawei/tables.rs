//! The expressions behind the tables, compiled once.

use regex::Regex;
use std::sync::LazyLock;

macro_rules! expressions {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {$(
        $(#[$doc])*
        pub(super) static $name: LazyLock<Regex> = LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "a constant of this file, compiled by every test run")]
            Regex::new($text).expect("a valid expression")
        });
    )*};
}

expressions! {
    /// A row that starts with a port: `0/ 1/0`, `0/1 /0`. Text that an OLT folds goes on far to the right of it.
    PORT_ROW = r"^\s{0,6}\d+\s?/\s*\d+\s*/\s*\d+\s+\d+\b";
    ONU_ROW = r"^\s*(?P<fsp>\d+\s?/\s*\d+\s*/\s*\d+)\s+(?P<id>\d+)\s+(?P<sn>[0-9A-Za-z]{12,16})\s+(?P<control>\S+)\s+(?P<run>\S+)\s+(?P<config>\S+)\s+(?P<match>\S+)(?:\s+(?P<last>\S.*?))?\s*$";
    ONU_LIST_HEADER = r"^\s{0,6}F/S/P\s+ONT(?:[- ]ID)?\s+SN\s+Control\s+Run\s+Config\s+Match(?:\s+(?P<last>\S+(?: \S+)?))?\s*$";
    ONU_DESCRIPTION_HEADER = r"^\s{0,6}F/S/P\s+ONT(?:[- ]ID)?\s+Description\s*$";
    ONU_DESCRIPTION_ROW = r"^\s{0,6}(?P<fsp>\d+\s?/\s*\d+\s*/\s*\d+)\s+(?P<id>\d+)(?:\s+(?P<description>.*))?$";
    ONU_TOTAL = r"(?i)^\s{0,6}in port\s+(?P<fsp>\d+\s?/\s*\d+\s*/\s*\d+)\s*,\s*the total (?:number )?of ONTs (?:are|is)\s*:\s*(?P<total>\d+)(?:,\s*online\s*:\s*(?P<online>\d+))?";
    SUMMARY_TIME_HEADER = r"^\s{0,6}ONT\s+Run\s+Last\b";
    SUMMARY_LIGHT_HEADER = r"^\s{0,6}ONT\s+SN\s.*Distance.*Rx/Tx";
    /// A row of a summary.
    SUMMARY_ROW = r"^\s{0,6}\d+\s+\S";
    SUMMARY_TIME_ROW = r"^\s*(?P<id>\d+)\s+(?P<run>\S+)\s+(?P<up>-|\S+ \S+(?: DST)?)\s+(?P<down>-|\S+ \S+(?: DST)?)(?:\s+(?P<cause>\S.*?))?\s*$";
    SUMMARY_LIGHT_ROW = r"^\s*(?P<id>\d+)\s+(?P<sn>[0-9A-Za-z]{12,16})\s+(?P<model>\S.*?)\s+(?P<distance>\d+|-)\s+(?P<rx>-?\d+(?:\.\d+)?|-)/(?P<tx>-?\d+(?:\.\d+)?|-)(?:\s+(?P<description>\S.*?))?\s*$";
    OPTICS_ROW = r"^\s*(?P<id>\d+)\s+(?P<rx>\S+)\s+(?P<tx>\S+)\s+(?P<olt>\S+)\s+(?P<temperature>\S+)\s+(?P<voltage>\S+)\s+(?P<current>\S+)\s+(?P<distance>\S+)\s*$";
    SERVICE_PORT_ROW = r"^\s*(?P<index>\d+)\s+(?P<vlan>\d+)\s+(?P<attribute>\S+)\s+(?P<type>\S+)\s+(?P<fsp>\d+\s?/\s*\d+\s*/\s*\d+)\s+(?P<onu>\S+)\s+(?P<gem>\S+)\s+(?P<flow>\S+)\s+(?P<parameter>\S+)\s+(?P<rx>\S+)\s+(?P<tx>\S+)\s+(?P<state>\S+)\s*$";
    SERVICE_PORT_TOTAL = r"^\s*Total\s*:\s*(?P<total>\d+)";
    NUMBER_ROW = r"^\s*\d+\s+\S";
    PROFILE_ROW = r"^\s*(?P<id>\d+)\s+(?P<name>\S.*?)\s+(?P<bindings>\d+|-)\s*$";
    DBA_ROW = r"^\s*(?P<id>\d+)\s+(?P<kind>[1-5])\s+(?:Yes|No)\s+(?P<fix>\d+)\s+(?P<assure>\d+)\s+(?P<max>\d+)\s+(?P<bind>\d+)\s*$";
    BOARD_ROW = r"^\s*(?P<slot>\d+)(?:\s+(?P<name>[A-Z][A-Z0-9]{4,})\s+(?P<status>[A-Za-z_]+).*)?\s*$";
    PON_PORT_ROW = r"^\s*(?P<port>\d+)\s+(?P<kind>[A-Za-z0-9]*PON\S*)\s+\S+\s+\S+\s+(?P<status>\S+)\s*$";
    GEMPORT = r"<Gem Index\s+(?P<id>\d+)>";
    TCONT = r"<T-CONT\s+(?P<id>\d+)>";
    ONU_ADDED = r"ONTID\s*:\s*(?P<id>\d+)";
    COUNT_OF_SUCCESS = r"(?i)number of ONTs that can be (?:added|deleted)\s*:\s*(?P<asked>\d+)\s*,\s*success\s*:\s*(?P<done>\d+)";
    DELETED_PORTS = r"(?i)which need be deleted\s*:\s*(?P<asked>\d+).*which have been deleted\s*:\s*(?P<done>\d+)";
}
