// SPDX-License-Identifier: Apache-2.0
// A client of rustls 0.20, for tls.t: asks for the server name given, trusts anybody.
use rustls::client::{ServerCertVerified, ServerCertVerifier};
use rustls::{Certificate, ClientConfig, ClientConnection, Error, ServerName, Stream};
use std::io::{Read, Write};
use std::time::SystemTime;

struct Anybody;
impl ServerCertVerifier for Anybody {
    fn verify_server_cert(&self, _: &Certificate, _: &[Certificate], _: &ServerName,
        _: &mut dyn Iterator<Item = &[u8]>, _: &[u8], _: SystemTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap();
    let config = ClientConfig::builder().with_safe_defaults()
        .with_custom_certificate_verifier(std::sync::Arc::new(Anybody))
        .with_no_client_auth();
    let mut client = ClientConnection::new(std::sync::Arc::new(config),
        name.as_str().try_into().unwrap()).unwrap();
    let mut socket = std::net::TcpStream::connect("203.0.113.5:7443").unwrap();
    let mut stream = Stream::new(&mut client, &mut socket);
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    let end = stream.read_to_string(&mut answer);
    print!("{answer}");
    if answer.is_empty() {
        end.unwrap();
    }
}
