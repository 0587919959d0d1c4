//! The message inside an envelope.

use super::{
    EncodeOptions,
    field::{Members, Writer},
    rpc::*,
    text::excerpt,
    tree::{Node, Tree},
};
use crate::CodecError;
use types::CwmpFault;

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A request of the CPE, to be answered at once.
    CpeRequest,
    /// A request of the ACS.
    AcsRequest,
    /// A request that both sides may send: GetRPCMethods.
    EitherRequest,
    /// The answer of the CPE to a request of the ACS.
    CpeResponse,
    /// The answer of the ACS to a request of the CPE.
    AcsResponse,
    /// The answer to a request that both sides may send.
    EitherResponse,
    /// A SOAP fault, from either side.
    Fault,
    /// A method that CWMP does not know.
    Unknown,
    /// A Body without a child; some CPEs send it instead of an empty POST.
    Empty,
}

/// `read!(node, Variant, Type)` for messages with members, `read!(node, Variant)` for those without.
macro_rules! read {
    ($node:ident, $variant:ident, $type:ty) => {
        Body::$variant(<$type>::read_members($node)?)
    };
    ($node:ident, $variant:ident) => {
        Body::$variant
    };
}

macro_rules! bodies {
    ($( $variant:ident $(($type:ty))? = $method:literal, $role:ident; )*) => {
        /// Every message of TR-069 Amendment 6, of both sides.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is the message of that name; the structs say what it means")]
        pub enum Body {
            $( $variant $(($type))?, )*
            /// A SOAP fault.
            Fault(Fault),
            /// A method that CWMP does not know, by its local name (at most 64 characters).
            Unknown { method: String },
            /// Nothing inside.
            Empty,
        }

        impl Body {
            /// The name of the element, e.g. `GetParameterValuesResponse`.
            pub fn method(&self) -> &str {
                match self {
                    $( bodies!(@pattern $variant $(($type))?) => $method, )*
                    Body::Fault(_) => "Fault",
                    Body::Unknown { method } => method,
                    Body::Empty => "",
                }
            }

            /// [`Body::method`] of the messages that CWMP knows.
            pub(crate) fn static_method(&self) -> Option<&'static str> {
                match self {
                    $( bodies!(@pattern $variant $(($type))?) => Some($method), )*
                    Body::Fault(_) | Body::Unknown { .. } | Body::Empty => None,
                }
            }

            /// Who sends it.
            pub fn role(&self) -> Role {
                match self {
                    $( bodies!(@pattern $variant $(($type))?) => Role::$role, )*
                    Body::Fault(_) => Role::Fault,
                    Body::Unknown { .. } => Role::Unknown,
                    Body::Empty => Role::Empty,
                }
            }

            pub(super) fn read(node: Node<'_>) -> Result<Self, CodecError> {
                Ok(match node.name() {
                    $( $method => read!(node, $variant $(, $type)?), )*
                    "Fault" => Body::Fault(Fault::read(node)),
                    other => Body::Unknown { method: excerpt(other, 64) },
                })
            }

            pub(super) fn write(&self, w: &mut Writer<'_>) {
                match self {
                    $( bodies!(@bind $variant message $(($type))?) => {
                        w.open(concat!("cwmp:", $method));
                        bodies!(@write message w $(($type))?);
                        w.close(concat!("cwmp:", $method));
                    } )*
                    Body::Fault(fault) => fault.write(w),
                    // Never sent; an element of a foreign name cannot be built from a peer's text.
                    Body::Unknown { .. } | Body::Empty => {}
                }
            }

            /// Strategies for every variant, by method name.
            #[cfg(test)]
            pub(super) fn samples() -> Vec<(&'static str, proptest::strategy::BoxedStrategy<Body>)> {
                use proptest::strategy::Strategy;
                vec![
                    $( ($method, bodies!(@sample $variant $(($type))?)), )*
                    ("Fault", <Fault as super::sample::Sample>::sample().prop_map(Body::Fault).boxed()),
                ]
            }
        }
    };
    (@pattern $variant:ident ($type:ty)) => { Body::$variant(_) };
    (@pattern $variant:ident) => { Body::$variant };
    (@bind $variant:ident $name:ident ($type:ty)) => { Body::$variant($name) };
    (@bind $variant:ident $name:ident) => { Body::$variant };
    (@write $name:ident $w:ident ($type:ty)) => { $name.write_members($w) };
    (@write $name:ident $w:ident) => {};
    (@sample $variant:ident ($type:ty)) => {
        <$type as super::sample::Sample>::sample().prop_map(Body::$variant).boxed()
    };
    (@sample $variant:ident) => { proptest::strategy::Just(Body::$variant).boxed() };
}

bodies! {
    Inform(Inform) = "Inform", CpeRequest;
    InformResponse(InformResponse) = "InformResponse", AcsResponse;
    GetRpcMethods = "GetRPCMethods", EitherRequest;
    GetRpcMethodsResponse(GetRpcMethodsResponse) = "GetRPCMethodsResponse", EitherResponse;
    SetParameterValues(SetParameterValues) = "SetParameterValues", AcsRequest;
    SetParameterValuesResponse(SetParameterValuesResponse) = "SetParameterValuesResponse", CpeResponse;
    GetParameterValues(GetParameterValues) = "GetParameterValues", AcsRequest;
    GetParameterValuesResponse(GetParameterValuesResponse) = "GetParameterValuesResponse", CpeResponse;
    GetParameterNames(GetParameterNames) = "GetParameterNames", AcsRequest;
    GetParameterNamesResponse(GetParameterNamesResponse) = "GetParameterNamesResponse", CpeResponse;
    SetParameterAttributes(SetParameterAttributes) = "SetParameterAttributes", AcsRequest;
    SetParameterAttributesResponse = "SetParameterAttributesResponse", CpeResponse;
    GetParameterAttributes(GetParameterAttributes) = "GetParameterAttributes", AcsRequest;
    GetParameterAttributesResponse(GetParameterAttributesResponse) = "GetParameterAttributesResponse", CpeResponse;
    AddObject(AddObject) = "AddObject", AcsRequest;
    AddObjectResponse(AddObjectResponse) = "AddObjectResponse", CpeResponse;
    DeleteObject(DeleteObject) = "DeleteObject", AcsRequest;
    DeleteObjectResponse(DeleteObjectResponse) = "DeleteObjectResponse", CpeResponse;
    Download(Download) = "Download", AcsRequest;
    DownloadResponse(DownloadResponse) = "DownloadResponse", CpeResponse;
    Upload(Upload) = "Upload", AcsRequest;
    UploadResponse(UploadResponse) = "UploadResponse", CpeResponse;
    Reboot(Reboot) = "Reboot", AcsRequest;
    RebootResponse = "RebootResponse", CpeResponse;
    FactoryReset = "FactoryReset", AcsRequest;
    FactoryResetResponse = "FactoryResetResponse", CpeResponse;
    ScheduleInform(ScheduleInform) = "ScheduleInform", AcsRequest;
    ScheduleInformResponse = "ScheduleInformResponse", CpeResponse;
    ScheduleDownload(ScheduleDownload) = "ScheduleDownload", AcsRequest;
    ScheduleDownloadResponse = "ScheduleDownloadResponse", CpeResponse;
    CancelTransfer(CancelTransfer) = "CancelTransfer", AcsRequest;
    CancelTransferResponse = "CancelTransferResponse", CpeResponse;
    GetQueuedTransfers = "GetQueuedTransfers", AcsRequest;
    GetQueuedTransfersResponse(GetQueuedTransfersResponse) = "GetQueuedTransfersResponse", CpeResponse;
    GetAllQueuedTransfers = "GetAllQueuedTransfers", AcsRequest;
    GetAllQueuedTransfersResponse(GetAllQueuedTransfersResponse) = "GetAllQueuedTransfersResponse", CpeResponse;
    ChangeDuState(ChangeDuState) = "ChangeDUState", AcsRequest;
    ChangeDuStateResponse = "ChangeDUStateResponse", CpeResponse;
    SetVouchers(SetVouchers) = "SetVouchers", AcsRequest;
    SetVouchersResponse = "SetVouchersResponse", CpeResponse;
    GetOptions(GetOptions) = "GetOptions", AcsRequest;
    GetOptionsResponse(GetOptionsResponse) = "GetOptionsResponse", CpeResponse;
    TransferComplete(TransferComplete) = "TransferComplete", CpeRequest;
    TransferCompleteResponse = "TransferCompleteResponse", AcsResponse;
    AutonomousTransferComplete(AutonomousTransferComplete) = "AutonomousTransferComplete", CpeRequest;
    AutonomousTransferCompleteResponse = "AutonomousTransferCompleteResponse", AcsResponse;
    RequestDownload(RequestDownload) = "RequestDownload", CpeRequest;
    RequestDownloadResponse = "RequestDownloadResponse", AcsResponse;
    Kicked(Kicked) = "Kicked", CpeRequest;
    KickedResponse(KickedResponse) = "KickedResponse", AcsResponse;
    DuStateChangeComplete(DuStateChangeComplete) = "DUStateChangeComplete", CpeRequest;
    DuStateChangeCompleteResponse = "DUStateChangeCompleteResponse", AcsResponse;
    AutonomousDuStateChangeComplete(AutonomousDuStateChangeComplete) = "AutonomousDUStateChangeComplete", CpeRequest;
    AutonomousDuStateChangeCompleteResponse = "AutonomousDUStateChangeCompleteResponse", AcsResponse;
}

/// A SOAP fault with its CWMP detail (A.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The caller is to blame (`Client`), else the called side (`Server`).
    pub client: bool,
    /// The CWMP fault code; 0 if the peer sent none.
    pub code: u32,
    /// The words of the sender.
    pub text: String,
    /// Of SetParameterValues: what is wrong with which parameter. Often missing.
    pub parameters: Vec<ParameterFault>,
}

/// What is wrong with one parameter of a SetParameterValues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterFault {
    /// Its full name.
    pub name: String,
    /// Why, as a CWMP fault code.
    pub code: u32,
    /// The words of the device.
    pub text: String,
}

impl Fault {
    /// A fault with the blame as the standard assigns it and the standard's name as text.
    pub fn new(code: u32) -> Self {
        Fault {
            client: CwmpFault::blames_the_client(code),
            code,
            text: CwmpFault::of(code).name.to_owned(),
            parameters: Vec::new(),
        }
    }

    fn read(node: Node<'_>) -> Self {
        // The detail has been seen inside faultstring, directly in the SOAP fault, and escaped as text.
        match node.descendant("Fault") {
            Some(detail) => Fault::read_detail(node, detail),
            None => Fault::read_escaped(node).unwrap_or_else(|| Fault::read_detail(node, node)),
        }
    }

    fn read_detail(soap: Node<'_>, detail: Node<'_>) -> Self {
        let text_of = |node: Node<'_>, name: &str| node.child(name).map_or("", Node::text).to_owned();
        let limit = soap.limits().max_list_entries;
        let parameters = detail
            .children()
            .filter(|node| node.name().eq_ignore_ascii_case("SetParameterValuesFault"))
            .take(limit)
            .map(|node| ParameterFault {
                name: text_of(node, "ParameterName"),
                code: text_of(node, "FaultCode").parse().unwrap_or_default(),
                text: text_of(node, "FaultString"),
            })
            .collect();
        let soap_code = soap.child("faultcode").map_or("", Node::text);
        let text = detail.child("FaultString").or_else(|| soap.child("faultstring")).map_or("", Node::text);
        Fault {
            client: soap_code.rsplit(':').next().is_some_and(|code| code.eq_ignore_ascii_case("Client")),
            code: text_of(detail, "FaultCode").parse().unwrap_or_default(),
            text: text.to_owned(),
            parameters,
        }
    }

    fn read_escaped(soap: Node<'_>) -> Option<Self> {
        let text = soap.child("detail")?.text();
        if !text.starts_with('<') {
            return None;
        }
        // One level only: the inner text is not unescaped again.
        let tree = Tree::parse(text, soap.limits()).ok()?;
        let root = tree.root();
        let detail = if root.name().eq_ignore_ascii_case("Fault") { root } else { root.descendant("Fault")? };
        let mut fault = Fault::read_detail(soap, detail);
        let inner = Fault::read_detail(root, detail);
        fault.parameters = inner.parameters;
        Some(fault)
    }

    fn write(&self, w: &mut Writer<'_>) {
        let fault = format!("{}:Fault", w.options.prefix.as_str());
        w.open(&fault);
        w.leaf("faultcode", if self.client { "Client" } else { "Server" });
        w.leaf("faultstring", "CWMP fault");
        w.open("detail");
        w.open("cwmp:Fault");
        w.leaf("FaultCode", &self.code.to_string());
        w.leaf("FaultString", &self.text);
        for parameter in &self.parameters {
            w.open("SetParameterValuesFault");
            w.leaf("ParameterName", &parameter.name);
            w.leaf("FaultCode", &parameter.code.to_string());
            w.leaf("FaultString", &parameter.text);
            w.close("SetParameterValuesFault");
        }
        w.close("cwmp:Fault");
        w.close("detail");
        w.close(&fault);
    }
}

impl Body {
    /// True if `self` is the answer to a request of that method.
    pub fn answers(&self, request_method: &str) -> bool {
        self.method().strip_suffix("Response") == Some(request_method)
    }

    pub(super) fn write_all(&self, options: &EncodeOptions, out: String) -> String {
        let mut writer = Writer { out, options };
        self.write(&mut writer);
        writer.out
    }
}
