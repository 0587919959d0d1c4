//! The physical limit: a hyper server that knows nothing and answers the same requests with fixed bytes.

use super::{
    drive::{Figures, drive},
    known::Device,
};
use crate::support::{cpu_s_of, free_port};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;

/// The same sessions against a hyper server that knows nothing and answers with fixed bytes.
pub(crate) async fn bare(devices: &Arc<Vec<Device>>, sessions: usize) -> Figures {
    let port = free_port();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--bare-server")
        .env("BARE_PORT", port.to_string())
        .spawn()
        .unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    while TcpStream::connect(to).await.is_err() {
        tokio::task::yield_now().await;
    }
    let pid = child.id();
    let cpu = move || cpu_s_of(pid);
    let figures = drive(to, devices, sessions, cpu).await;
    child.kill().unwrap();
    child.wait().unwrap();
    figures
}

pub(crate) async fn bare_server() {
    use http_body_util::{BodyExt, Full};
    use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    let port: u16 = std::env::var("BARE_PORT").unwrap().parse().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let answer = Bytes::from(vec![b' '; 700]);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                let authorised = request.headers().contains_key("authorization");
                let cookie = request.headers().contains_key("cookie");
                request.into_body().collect().await?;
                let response = Response::builder();
                Ok::<_, hyper::Error>(
                    if cookie {
                        response.status(204).body(Full::new(Bytes::new()))
                    } else if authorised {
                        response.header("Set-Cookie", "session=0; Path=/").body(Full::new(answer))
                    } else {
                        response
                            .status(401)
                            .header("WWW-Authenticate", "Digest realm=\"acs\", nonce=\"0\", qop=\"auth\"")
                            .body(Full::new(Bytes::new()))
                    }
                    .unwrap(),
                )
            }
        });
        tokio::spawn(
            http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service),
        );
    }
}
