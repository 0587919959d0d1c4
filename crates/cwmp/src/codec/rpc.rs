//! Every message of TR-069 Amendment 6 (annex A.3 and A.4, `cwmp-1-4.xsd`), as one table: struct, members, and
//! the element each member travels in. Reading, writing and the round-trip tests all come from it.

use super::{
    field::{Field, Item, Members, Writer},
    tree::Node,
    value::{DateTime, Value},
};
use crate::{CodecError, EventCode};
use std::num::NonZeroU32;
use types::Secret;

/// Declares structs of members. `struct X = "XStruct"` is also an entry of arrays of `cwmp:XStruct`.
macro_rules! structs {
    ($(
        $(#[$doc:meta])*
        struct $name:ident $(= $element:literal)? {
            $( $(#[$member_doc:meta])* $member:ident : $type:ty = $tag:literal, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$member_doc])* pub $member: $type, )*
        }

        impl Members for $name {
            fn read_members(node: Node<'_>) -> Result<Self, CodecError> {
                Ok($name { $( $member: Field::read(node, stringify!($name), $tag)?, )* })
            }
            fn write_members(&self, w: &mut Writer<'_>) {
                $( self.$member.write($tag, w); )*
            }
        }

        $(
            impl Item for $name {
                const ARRAY_TYPE: &'static str = concat!("cwmp:", $element);
                fn read_item(node: Node<'_>) -> Result<Self, CodecError> {
                    Self::read_members(node)
                }
                fn write_item(&self, w: &mut Writer<'_>) {
                    w.open($element);
                    self.write_members(w);
                    w.close($element);
                }
            }
        )?

        #[cfg(test)]
        impl super::sample::Sample for $name {
            fn sample() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                ( $( <$type as super::sample::Sample>::sample(), )* )
                    .prop_map(|( $( $member, )* )| $name { $( $member, )* })
                    .boxed()
            }
        }
    )*};
}

/// Structs that are a member of their own, not an entry of a list.
macro_rules! single {
    ($($name:ident),*) => {$(
        impl Field for $name {
            fn read(parent: Node<'_>, method: &'static str, element: &'static str) -> Result<Self, CodecError> {
                let node = parent.child(element).ok_or(CodecError::Field { method, element })?;
                Self::read_members(node)
            }
            fn write(&self, name: &'static str, w: &mut Writer<'_>) {
                w.open(name);
                self.write_members(w);
                w.close(name);
            }
        }
    )*};
}
single!(DeviceId);

structs! {
    /// Who speaks (A.3.3.1). Nothing in it proves anything.
    struct DeviceId {
        /// Name of the maker.
        manufacturer: String = "Manufacturer",
        /// Six hex digits.
        oui: String = "OUI",
        /// Model or family; empty or generic on several brands.
        product_class: String = "ProductClass",
        /// Unique within OUI and product class, if the maker was careful.
        serial_number: String = "SerialNumber",
    }
    /// One reason for the session.
    struct Event = "EventStruct" {
        /// The event.
        code: EventCode = "EventCode",
        /// The key of the RPC that caused it; empty for most.
        command_key: String = "CommandKey",
    }
    /// A parameter and its value.
    struct ParameterValue = "ParameterValueStruct" {
        /// Full name.
        name: String = "Name",
        /// Its value.
        value: Value = "Value",
    }
    /// A parameter or object that exists.
    struct ParameterInfo = "ParameterInfoStruct" {
        /// Full name; objects should end with a dot, but not all devices write it.
        name: String = "Name",
        /// Leaf: may be set. Table: AddObject allowed. Instance: DeleteObject allowed. Wrong on some devices.
        writable: bool = "Writable",
    }
    /// Attributes as the device reports them.
    struct ParameterAttribute = "ParameterAttributeStruct" {
        /// Full name.
        name: String = "Name",
        /// 0 off, 1 passive, 2 active, 3–6 lightweight.
        notification: u8 = "Notification",
        /// Who may write besides the ACS, e.g. `Subscriber`.
        access_list: Vec<String> = "AccessList",
    }
    /// A change of attributes.
    struct SetParameterAttribute = "SetParameterAttributesStruct" {
        /// Full name or partial path.
        name: String = "Name",
        /// True if `notification` is to be applied.
        notification_change: bool = "NotificationChange",
        /// 0 off, 1 passive, 2 active, 3–6 lightweight.
        notification: u8 = "Notification",
        /// True if `access_list` is to be applied.
        access_list_change: bool = "AccessListChange",
        /// Who may write besides the ACS.
        access_list: Vec<String> = "AccessList",
    }
    /// When a scheduled transfer may run.
    struct TimeWindow = "TimeWindowStruct" {
        /// Seconds from now to its start.
        start_s: u32 = "WindowStart",
        /// Seconds from now to its end.
        end_s: u32 = "WindowEnd",
        /// `1 At Any Time`, `2 Immediately`, `3 When Idle`, `4 Confirmation Needed`.
        mode: String = "WindowMode",
        /// For the user, if confirmation is needed.
        user_message: String = "UserMessage",
        /// -1: as the device likes.
        max_retries: i32 = "MaxRetries",
    }
    /// A transfer in the queue.
    struct QueuedTransfer = "QueuedTransferStruct" {
        /// The key it was asked for with.
        command_key: String = "CommandKey",
        /// 1 not started, 2 running, 3 done.
        state: u32 = "State",
    }
    /// A transfer in the queue, also those the ACS did not ask for.
    struct AnyQueuedTransfer = "AllQueuedTransferStruct" {
        /// The key it was asked for with.
        command_key: String = "CommandKey",
        /// 1 not started, 2 running, 3 done.
        state: u32 = "State",
        /// False for an upload.
        is_download: bool = "IsDownload",
        /// As in Download or Upload.
        file_type: String = "FileType",
        /// Bytes.
        file_size_bytes: u64 = "FileSize",
        /// Name on the device.
        target_file_name: String = "TargetFileName",
    }
    /// A voucher option (deprecated).
    struct VoucherOption = "OptionStruct" {
        /// Name of the option.
        option_name: String = "OptionName",
        /// Serial number of the voucher.
        voucher_sn: u64 = "VoucherSN",
        /// 0 disabled, 1 enabled now, 2 enabled and set by the user.
        state: u32 = "State",
        /// 0 disabled, 1 with expiry, 2 without.
        mode: i32 = "Mode",
        /// Since.
        start_date: DateTime = "StartDate",
        /// Until.
        expiration_date: DateTime = "ExpirationDate",
        /// May move to another device.
        is_transferable: bool = "IsTransferable",
    }
    /// A name and a value in RequestDownload.
    struct Argument = "ArgStruct" {
        /// Name.
        name: String = "Name",
        /// Value.
        value: String = "Value",
    }
    /// A failure inside a message; code 0 is success.
    struct FaultStruct {
        /// A fault code, 0 for success.
        code: u32 = "FaultCode",
        /// The device's words.
        text: String = "FaultString",
    }
    /// What became of one operation on a deployment unit.
    struct OperationResult = "OpResultStruct" {
        /// The unit.
        uuid: String = "UUID",
        /// Its path in the data model.
        deployment_unit_ref: String = "DeploymentUnitRef",
        /// Its version.
        version: String = "Version",
        /// `Installed`, `Uninstalled` or `Failed`.
        current_state: String = "CurrentState",
        /// All dependencies are there.
        resolved: bool = "Resolved",
        /// Comma-separated paths.
        execution_unit_ref_list: String = "ExecutionUnitRefList",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
        /// How it went.
        fault: FaultStruct = "Fault",
    }
    /// What became of an operation that the ACS did not ask for.
    struct AutonomousOperationResult = "AutonOpResultStruct" {
        /// The unit.
        uuid: String = "UUID",
        /// Its path in the data model.
        deployment_unit_ref: String = "DeploymentUnitRef",
        /// Its version.
        version: String = "Version",
        /// `Installed`, `Uninstalled` or `Failed`.
        current_state: String = "CurrentState",
        /// All dependencies are there.
        resolved: bool = "Resolved",
        /// Comma-separated paths.
        execution_unit_ref_list: String = "ExecutionUnitRefList",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
        /// How it went.
        fault: FaultStruct = "Fault",
        /// `Install`, `Update` or `Uninstall`.
        operation_performed: String = "OperationPerformed",
    }
    /// Installs a deployment unit.
    struct InstallOperation {
        /// Where from.
        url: String = "URL",
        /// The unit; empty lets the device choose.
        uuid: String = "UUID",
        /// For the file server.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Path of the execution environment.
        execution_env_ref: String = "ExecutionEnvRef",
    }
    /// Updates a deployment unit.
    struct UpdateOperation {
        /// The unit.
        uuid: String = "UUID",
        /// From which version.
        version: String = "Version",
        /// Where from.
        url: String = "URL",
        /// For the file server.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
    }
    /// Removes a deployment unit.
    struct UninstallOperation {
        /// The unit.
        uuid: String = "UUID",
        /// Which version; empty for all.
        version: String = "Version",
        /// Path of the execution environment.
        execution_env_ref: String = "ExecutionEnvRef",
    }

    /// Opens every session (A.3.3.1).
    struct Inform {
        /// Who speaks.
        device_id: DeviceId = "DeviceId",
        /// Why.
        events: Vec<Event> = "Event",
        /// Always 1, whatever it says.
        max_envelopes: u32 = "MaxEnvelopes",
        /// The device's clock.
        current_time: DateTime = "CurrentTime",
        /// Failed attempts before this one.
        retry_count: u32 = "RetryCount",
        /// Forced and changed parameters.
        parameters: Vec<ParameterValue> = "ParameterList",
    }
    /// Accepts the Inform.
    struct InformResponse {
        /// Always 1.
        max_envelopes: u32 = "MaxEnvelopes",
    }
    /// The methods of the other side.
    struct GetRpcMethodsResponse {
        /// Method names.
        methods: Vec<String> = "MethodList",
    }
    /// Sets parameters, all or none (A.3.2.1).
    struct SetParameterValues {
        /// What to set.
        parameters: Vec<ParameterValue> = "ParameterList",
        /// Stored by the device on success, reported in every Inform; 32 characters.
        parameter_key: String = "ParameterKey",
    }
    /// The values are accepted. No proof that they work.
    struct SetParameterValuesResponse {
        /// Applied now or later.
        status: Status = "Status",
    }
    /// Asks for values (A.3.2.2).
    struct GetParameterValues {
        /// Full names, or partial paths ending with a dot.
        names: Vec<String> = "ParameterNames",
    }
    /// The values asked for.
    struct GetParameterValuesResponse {
        /// Names and values.
        parameters: Vec<ParameterValue> = "ParameterList",
    }
    /// Asks what exists below a path (A.3.2.3).
    struct GetParameterNames {
        /// Partial path ending with a dot, a full name, or empty for the root.
        path: String = "ParameterPath",
        /// One level only.
        next_level: bool = "NextLevel",
    }
    /// What exists.
    struct GetParameterNamesResponse {
        /// Names.
        parameters: Vec<ParameterInfo> = "ParameterList",
    }
    /// Changes attributes (A.3.2.4).
    struct SetParameterAttributes {
        /// What to change.
        parameters: Vec<SetParameterAttribute> = "ParameterList",
    }
    /// Asks for attributes (A.3.2.5).
    struct GetParameterAttributes {
        /// Full names or partial paths.
        names: Vec<String> = "ParameterNames",
    }
    /// The attributes asked for.
    struct GetParameterAttributesResponse {
        /// Attributes.
        parameters: Vec<ParameterAttribute> = "ParameterList",
    }
    /// Creates an instance (A.3.2.6). Not transactional with the values set into it later.
    struct AddObject {
        /// Path of the table, with its dot.
        object_name: String = "ObjectName",
        /// As in SetParameterValues.
        parameter_key: String = "ParameterKey",
    }
    /// The instance exists.
    struct AddObjectResponse {
        /// Its number, never used before.
        instance_number: NonZeroU32 = "InstanceNumber",
        /// Applied now or later.
        status: Status = "Status",
    }
    /// Removes an instance and everything below it (A.3.2.7).
    struct DeleteObject {
        /// Path of the instance, with its dot.
        object_name: String = "ObjectName",
        /// As in SetParameterValues.
        parameter_key: String = "ParameterKey",
    }
    /// The instance is gone, or will be.
    struct DeleteObjectResponse {
        /// Applied now or later.
        status: Status = "Status",
    }
    /// Fetches a file (A.3.2.8).
    struct Download {
        /// Comes back in TransferComplete.
        command_key: String = "CommandKey",
        /// `1 Firmware Upgrade Image` …
        file_type: String = "FileType",
        /// Where from.
        url: String = "URL",
        /// For the file server.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Bytes; some devices reject 0 or a wrong size.
        file_size_bytes: u64 = "FileSize",
        /// Name on the device.
        target_file_name: String = "TargetFileName",
        /// Seconds to wait before it starts.
        delay_s: u32 = "DelaySeconds",
        /// For browsers of the user, rarely used.
        success_url: String = "SuccessURL",
        /// For browsers of the user, rarely used.
        failure_url: String = "FailureURL",
    }
    /// The transfer is done (0) or will be reported by TransferComplete (1).
    struct DownloadResponse {
        /// Done now or later.
        status: Status = "Status",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
    }
    /// Sends a file (A.4.1.5).
    struct Upload {
        /// Comes back in TransferComplete.
        command_key: String = "CommandKey",
        /// `1 Vendor Configuration File` …
        file_type: String = "FileType",
        /// Where to.
        url: String = "URL",
        /// For the file server.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Seconds to wait before it starts.
        delay_s: u32 = "DelaySeconds",
    }
    /// As [`DownloadResponse`].
    struct UploadResponse {
        /// Done now or later.
        status: Status = "Status",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
    }
    /// Restarts the device after the session (A.3.2.9).
    struct Reboot {
        /// Comes back with `M Reboot`.
        command_key: String = "CommandKey",
    }
    /// Asks for an Inform (A.4.1.6).
    struct ScheduleInform {
        /// Seconds from now, above 0.
        delay_s: u32 = "DelaySeconds",
        /// Comes back with `M ScheduleInform`.
        command_key: String = "CommandKey",
    }
    /// Fetches a file inside a time window (A.4.1.8).
    struct ScheduleDownload {
        /// Comes back in TransferComplete.
        command_key: String = "CommandKey",
        /// `1 Firmware Upgrade Image` …
        file_type: String = "FileType",
        /// Where from.
        url: String = "URL",
        /// For the file server.
        username: String = "Username",
        /// For the file server.
        password: Secret = "Password",
        /// Bytes.
        file_size_bytes: u64 = "FileSize",
        /// Name on the device.
        target_file_name: String = "TargetFileName",
        /// One or two windows.
        windows: Vec<TimeWindow> = "TimeWindowList",
    }
    /// Cancels a transfer (A.4.1.9).
    struct CancelTransfer {
        /// The key it was asked for with.
        command_key: String = "CommandKey",
    }
    /// The queue (A.4.1.3).
    struct GetQueuedTransfersResponse {
        /// Transfers asked for by the ACS.
        transfers: Vec<QueuedTransfer> = "TransferList",
    }
    /// The whole queue (A.4.1.7).
    struct GetAllQueuedTransfersResponse {
        /// All transfers.
        transfers: Vec<AnyQueuedTransfer> = "TransferList",
    }
    /// Installs, updates or removes software modules (A.4.1.10).
    struct ChangeDuState {
        /// What to do, in this order.
        operations: Vec<DuOperation> = "Operations",
        /// Comes back in DUStateChangeComplete.
        command_key: String = "CommandKey",
    }
    /// Deprecated (A.4.1.1).
    struct SetVouchers {
        /// Vouchers.
        vouchers: Vec<Voucher> = "VoucherList",
    }
    /// Deprecated (A.4.1.2).
    struct GetOptions {
        /// One name, or empty for all.
        option_name: String = "OptionName",
    }
    /// Deprecated.
    struct GetOptionsResponse {
        /// Options.
        options: Vec<VoucherOption> = "OptionList",
    }
    /// A transfer that the ACS asked for has ended (A.3.3.2).
    struct TransferComplete {
        /// The key it was asked for with.
        command_key: String = "CommandKey",
        /// How it went.
        fault: FaultStruct = "FaultStruct",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
    }
    /// A transfer that the ACS did not ask for has ended (A.3.3.3).
    struct AutonomousTransferComplete {
        /// Where it was announced.
        announce_url: String = "AnnounceURL",
        /// Where it came from.
        transfer_url: String = "TransferURL",
        /// False for an upload.
        is_download: bool = "IsDownload",
        /// As in Download.
        file_type: String = "FileType",
        /// Bytes.
        file_size_bytes: u64 = "FileSize",
        /// Name on the device.
        target_file_name: String = "TargetFileName",
        /// How it went.
        fault: FaultStruct = "FaultStruct",
        /// Began.
        start_time: DateTime = "StartTime",
        /// Ended.
        complete_time: DateTime = "CompleteTime",
    }
    /// The device would like a file (A.4.2.2).
    struct RequestDownload {
        /// As in Download.
        file_type: String = "FileType",
        /// Which one.
        arguments: Vec<Argument> = "FileTypeArg",
    }
    /// A web page of the device sends its user here (A.4.2.1, deprecated).
    struct Kicked {
        /// What is wanted.
        command: String = "Command",
        /// From which page.
        referer: String = "Referer",
        /// Arguments.
        argument: String = "Arg",
        /// Where the user goes next.
        next: String = "Next",
    }
    /// Where the user goes next.
    struct KickedResponse {
        /// A URL.
        next_url: String = "NextURL",
    }
    /// A ChangeDUState has ended (A.4.2.3).
    struct DuStateChangeComplete {
        /// One result per operation.
        results: Vec<OperationResult> = "Results",
        /// The key it was asked for with.
        command_key: String = "CommandKey",
    }
    /// Software modules changed by themselves (A.4.2.4).
    struct AutonomousDuStateChangeComplete {
        /// One result per operation.
        results: Vec<AutonomousOperationResult> = "Results",
    }
}

impl Field for FaultStruct {
    /// A missing struct is success: several devices leave it out when nothing failed.
    fn read(parent: Node<'_>, _: &'static str, element: &'static str) -> Result<Self, CodecError> {
        parent.child(element).map_or(Ok(FaultStruct { code: 0, text: String::new() }), Self::read_members)
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.open(name);
        self.write_members(w);
        w.close(name);
    }
}

/// Whether a change is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 0: in force now.
    Applied,
    /// 1: accepted, in force later (after a reboot, or when TransferComplete says so). Anything unreadable
    /// counts as this, because it makes us look again.
    Pending,
}

impl Field for Status {
    fn read(parent: Node<'_>, _: &'static str, name: &'static str) -> Result<Self, CodecError> {
        Ok(match parent.child(name).map_or("", Node::text) {
            "0" => Status::Applied,
            _ => Status::Pending,
        })
    }
    fn write(&self, name: &'static str, w: &mut Writer<'_>) {
        w.leaf(
            name,
            match self {
                Status::Applied => "0",
                Status::Pending => "1",
            },
        );
    }
}

/// An operation of ChangeDUState.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DuOperation {
    /// Installs.
    Install(InstallOperation),
    /// Updates.
    Update(UpdateOperation),
    /// Removes.
    Uninstall(UninstallOperation),
}

impl Item for DuOperation {
    const ARRAY_TYPE: &'static str = "cwmp:OperationStruct";
    fn read_item(node: Node<'_>) -> Result<Self, CodecError> {
        // The kind is the element's name, or its type where the element is a plain OperationStruct.
        let kind = if node.type_name().is_empty() { node.name() } else { node.type_name() };
        Ok(match kind.rsplit(':').next().unwrap_or(kind) {
            "InstallOpStruct" => DuOperation::Install(Members::read_members(node)?),
            "UpdateOpStruct" => DuOperation::Update(Members::read_members(node)?),
            "UninstallOpStruct" => DuOperation::Uninstall(Members::read_members(node)?),
            _ => return Err(CodecError::Field { method: "ChangeDUState", element: "Operations entry" }),
        })
    }
    fn write_item(&self, w: &mut Writer<'_>) {
        match self {
            DuOperation::Install(operation) => write_operation("InstallOpStruct", operation, w),
            DuOperation::Update(operation) => write_operation("UpdateOpStruct", operation, w),
            DuOperation::Uninstall(operation) => write_operation("UninstallOpStruct", operation, w),
        }
    }
}

fn write_operation(name: &'static str, operation: &impl Members, w: &mut Writer<'_>) {
    w.open(name);
    operation.write_members(w);
    w.close(name);
}

/// A voucher in Base64 (deprecated).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher(pub String);

impl Item for Voucher {
    const ARRAY_TYPE: &'static str = "soap-enc:base64";
    fn read_item(node: Node<'_>) -> Result<Self, CodecError> {
        Ok(Voucher(node.text().to_owned()))
    }
    fn write_item(&self, w: &mut Writer<'_>) {
        w.leaf("base64", &self.0);
    }
}
