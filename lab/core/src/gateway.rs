//! The way in from outside: an HTTP proxy (CONNECT, and absolute-form `http://`) that knows only the lab's addresses.
//!
//! Nothing ever leaves the lab: what no simulation serves is answered 502.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::http::header::{CONNECTION, HOST, HeaderName, PROXY_AUTHORIZATION};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Lab;

/// Starts the gateway on a free loopback port; runs until the lab stops.
pub async fn start(lab: &Lab) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let lab = lab.clone();
    lab.tasks.clone().spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = lab.shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => drop(lab.tasks.spawn(connection(lab.clone(), stream))),
                Err(error) => tracing::warn!(%error, "the gateway cannot accept a connection"),
            }
        }
    });
    Ok(address)
}

async fn connection(lab: Lab, stream: TcpStream) {
    let stop = lab.shutdown.clone();
    let service = service_fn(move |request| {
        let lab = lab.clone();
        async move { Ok::<_, io::Error>(answer(&lab, request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(%error, "gateway connection ended");
        },
        () = stop.cancelled() => {}
    }
}

async fn answer(lab: &Lab, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return tunnel(lab, request).await;
    }
    match forward(lab, request).await {
        Ok(response) => response,
        Err(refusal) => refusal,
    }
}

/// Answers CONNECT, then carries bytes both ways.
async fn tunnel(lab: &Lab, request: Request<Incoming>) -> Response<Body> {
    let Some((host, port)) = request
        .uri()
        .authority()
        .and_then(|a| host_and_port(a, None))
    else {
        return plain(StatusCode::BAD_REQUEST, "CONNECT needs HOST:PORT");
    };
    let mut inside = match lab.network.connect(&host, port).await {
        Ok(stream) => stream,
        Err(error) => return refused(&host, port, &error),
    };
    let stop = lab.shutdown.clone();
    lab.tasks.spawn(async move {
        let upgraded = match hyper::upgrade::on(request).await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "CONNECT was not taken up"),
        };
        let mut outside = TokioIo::new(upgraded);
        tokio::select! {
            // Either side may break off; that is no fault of the gateway.
            ended = tokio::io::copy_bidirectional(&mut outside, &mut inside) => if let Err(error) = ended {
                tracing::debug!(%error, host, port, "tunnel broke off");
            },
            () = stop.cancelled() => {}
        }
    });
    Response::new(Body::empty())
}

/// Passes on a request in absolute form.
async fn forward(lab: &Lab, request: Request<Incoming>) -> Result<Response<Body>, Response<Body>> {
    let uri = request.uri().clone();
    if uri.scheme_str() != Some("http") {
        return Err(plain(
            StatusCode::BAD_REQUEST,
            "this is the lab's proxy: use CONNECT, or http:// in absolute form",
        ));
    }
    let Some((authority, (host, port))) = uri
        .authority()
        .and_then(|a| Some((a, host_and_port(a, Some(80))?)))
    else {
        return Err(plain(StatusCode::BAD_REQUEST, "no host in the request"));
    };
    let stream = lab
        .network
        .connect(&host, port)
        .await
        .map_err(|error| refused(&host, port, &error))?;
    let broken =
        |error: hyper::Error| plain(StatusCode::BAD_GATEWAY, &format!("{host}:{port}: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    lab.tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "forwarded connection ended");
        }
    });
    let request = origin_form(request, &uri, authority).map_err(|error| {
        plain(
            StatusCode::BAD_REQUEST,
            &format!("bad request target: {error}"),
        )
    })?;
    let mut response = sender.send_request(request).await.map_err(broken)?;
    drop_hop_headers(response.headers_mut());
    Ok(response.map(Body::new))
}

fn origin_form(
    request: Request<Incoming>,
    uri: &Uri,
    authority: &Authority,
) -> Result<Request<Incoming>, axum::http::Error> {
    let (mut parts, body) = request.into_parts();
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.uri = Uri::builder().path_and_query(target).build()?;
    drop_hop_headers(&mut parts.headers);
    parts
        .headers
        .insert(HOST, HeaderValue::from_str(authority.as_str())?);
    Ok(Request::from_parts(parts, body))
}

/// Headers that concern one connection only (RFC 9110 §7.6.1).
fn drop_hop_headers(headers: &mut axum::http::HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(HeaderName::from_static("proxy-connection"));
    headers.remove(HeaderName::from_static("keep-alive"));
}

fn host_and_port(authority: &Authority, default: Option<u16>) -> Option<(String, u16)> {
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    Some((host.to_owned(), authority.port_u16().or(default)?))
}

fn refused(host: &str, port: u16, error: &io::Error) -> Response<Body> {
    plain(
        StatusCode::BAD_GATEWAY,
        &format!("connection refused: {host}:{port}: {error}"),
    )
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response
}
