//! Every recorded session is decoded and answered. The recordings are read from the folder that
//! `LIGHTKEEPER_CORPUS` names and are not part of this repository.

use cwmp::{
    Body, CodecError, EncodeOptions, Input, Limits, Outcome, Output, SessionMachine,
    codec::{
        AddObject, Download, GetParameterAttributes, GetParameterNames, GetParameterValues,
        SetParameterValues,
    },
    decode, encode,
};
use std::path::{Path, PathBuf};

struct Recorded {
    file: String,
    method: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

fn read(path: &Path) -> Recorded {
    let bytes = std::fs::read(path).expect("recording readable");
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| (at, at + 4));
    let (head_end, body_start) = split
        .or_else(|| bytes.windows(2).position(|window| window == b"\n\n").map(|at| (at, at + 2)))
        .unwrap_or((bytes.len(), bytes.len()));
    let head = String::from_utf8_lossy(&bytes[..head_end]);
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    Recorded {
        file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        method: head.split(' ').next().unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        body: bytes[body_start..].to_vec(),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("folder readable")
        .map(|entry| entry.expect("entry readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
        .collect();
    files.sort();
    files
}

/// A request of the kind that the recorded CPE answered next.
fn request_for(answer: &str) -> Option<Body> {
    let names = || vec!["InternetGatewayDevice.DeviceInfo.".to_owned()];
    Some(match answer {
        "GetRPCMethodsResponse" => Body::GetRpcMethods,
        "GetParameterNamesResponse" => Body::GetParameterNames(GetParameterNames {
            path: "InternetGatewayDevice.".into(),
            next_level: false,
        }),
        "GetParameterValuesResponse" => Body::GetParameterValues(GetParameterValues { names: names() }),
        "GetParameterAttributesResponse" => {
            Body::GetParameterAttributes(GetParameterAttributes { names: names() })
        }
        "SetParameterValuesResponse" => {
            Body::SetParameterValues(SetParameterValues { parameters: vec![], parameter_key: String::new() })
        }
        "AddObjectResponse" => {
            Body::AddObject(AddObject { object_name: "A.".into(), parameter_key: String::new() })
        }
        "DownloadResponse" => Body::Download(Download {
            command_key: String::new(),
            file_type: "1 Firmware Upgrade Image".into(),
            url: String::new(),
            username: String::new(),
            password: types::Secret::default(),
            file_size_bytes: 0,
            target_file_name: String::new(),
            delay_s: 0,
            success_url: String::new(),
            failure_url: String::new(),
        }),
        "Fault" => Body::GetRpcMethods,
        _ => return None,
    })
}

fn replay(folder: &Path) -> (usize, usize) {
    // One machine per session, oldest first. A recorded CPE may open a session while another one is going on.
    let mut sessions: Vec<SessionMachine> = Vec::new();
    let (mut answered, mut outcomes) = (0, 0);
    for path in files(folder) {
        let recorded = read(&path);
        let place = format!("{}/{}", folder.display(), recorded.file);
        if recorded.method != "POST" {
            continue;
        }
        let decoded = decode(&recorded.body, recorded.content_type.as_deref(), &Limits::default());
        let mut session = sessions.len().saturating_sub(1);
        match &decoded {
            Ok(envelope) => {
                // `001-Inform.http` in a session; `informs/` holds first messages named by model.
                let wanted = match folder.file_name() {
                    Some(name) if name == "informs" => "Inform",
                    _ => recorded.file.split(['-', '.']).nth(1).unwrap_or_default(),
                };
                assert_eq!(envelope.body.method(), wanted, "{place}");
                // What was read can be written and reads the same.
                let exact = EncodeOptions { fractional_seconds: true, ..EncodeOptions::default() };
                let back = decode(&encode(envelope, &exact), None, &Limits::default()).expect(&place);
                assert_eq!(back.body.method(), envelope.body.method(), "{place}");
                check_content(envelope.body.clone(), &place);
                if wanted == "Inform" {
                    sessions.push(SessionMachine::new("replay"));
                }
                // An answer belongs to the newest session in which we could have asked for it.
                if let Some(request) = request_for(wanted) {
                    session = sessions
                        .iter_mut()
                        .rposition(|session| session.request(request.clone()).is_some())
                        .unwrap_or_else(|| panic!("{place} answers no session"));
                } else {
                    session = sessions.len() - 1;
                }
            }
            Err(error) => assert_eq!(error, &CodecError::Empty, "{place}"),
        }
        match sessions[session].received(Input::from_decoded(decoded)) {
            Output::Answer { reply, .. } => {
                let bytes = encode(&reply, &EncodeOptions::default());
                decode(&bytes, None, &Limits::default()).expect(&place);
                assert!(!matches!(reply.body, Body::Fault(_)), "{place} was answered with a fault");
            }
            Output::Ask { finished } => {
                if let Some(finished) = finished {
                    assert!(!matches!(finished.outcome, Outcome::Unknown { .. }), "{place}: {finished:?}");
                    outcomes += 1;
                }
            }
            other => panic!("{place}: {other:?}"),
        }
        answered += 1;
    }
    (answered, outcomes)
}

fn check_content(body: Body, place: &str) {
    match body {
        Body::Inform(inform) => {
            assert_eq!(inform.device_id.oui.len(), 6, "{place}");
            assert!(!inform.events.is_empty(), "{place}");
            assert!(inform.current_time.utc().is_some(), "{place}");
            let url = inform.parameters.iter().find(|p| p.name.ends_with(".ConnectionRequestURL"));
            assert!(url.is_some_and(|url| url.value.text.starts_with("http://")), "{place}");
        }
        Body::GetParameterNamesResponse(names) => {
            assert!(!names.parameters.is_empty(), "{place}");
            assert!(names.parameters.iter().all(|entry| !entry.name.is_empty()), "{place}");
        }
        Body::GetParameterValuesResponse(values) => assert!(!values.parameters.is_empty(), "{place}"),
        Body::Fault(fault) => assert_eq!(fault.code, 9000, "{place}"),
        _ => {}
    }
}

#[test]
fn every_recorded_session_is_decoded_and_answered() {
    let Some(corpus) = std::env::var_os("LIGHTKEEPER_CORPUS") else {
        println!("skipped: recorded CWMP sessions, LIGHTKEEPER_CORPUS not set");
        return;
    };
    let root = Path::new(&corpus).join("cwmp");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .expect("corpus has cwmp/")
        .map(|entry| entry.expect("entry readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let (mut answered, mut outcomes) = (0, 0);
    for folder in &folders {
        let (a, o) = replay(folder);
        answered += a;
        outcomes += o;
    }
    println!(
        "{} folders, {answered} messages answered, {outcomes} requests of ours concluded",
        folders.len()
    );
    assert!(
        folders.len() >= 5 && answered >= 90 && outcomes >= 30,
        "the corpus is smaller than it should be"
    );
}
