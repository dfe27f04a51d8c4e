//! Flags that say where to connect and how; their values may also come from the environment and the file.

use clap::Args;

/// Flags of every command that talks to a server. Values are read by `settings`, with the other sources.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server flags")]
pub(crate) struct ServerFlags {
    /// Address of a Weir or Hubble server [default: localhost:4245]; tls:// and unix:// addresses are understood
    #[arg(long, global = true, value_name = "ADDRESS", allow_hyphen_values = true)]
    server: Option<String>,
    /// Base address of the relay's HTTP API, for `sql` [default: port 12000 of the host of --server]
    #[arg(long, global = true, value_name = "URL", allow_hyphen_values = true)]
    http_server: Option<String>,
    /// How long to wait for a connection [default: 5s]
    #[arg(long, global = true, value_name = "DURATION", allow_hyphen_values = true)]
    timeout: Option<String>,
    /// How long to wait for an answer; streams are not limited [default: 12s]
    #[arg(long, global = true, value_name = "DURATION", allow_hyphen_values = true)]
    request_timeout: Option<String>,
    /// Connect with TLS; a tls:// address does so too
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    tls: Option<String>,
    /// Trust any certificate: whoever is between you and the server can then read and change everything
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "BOOL")]
    tls_allow_insecure: Option<String>,
    /// PEM files of certificate authorities to trust in place of the system's, separated by commas
    #[arg(long, global = true, value_name = "FILES", allow_hyphen_values = true)]
    tls_ca_cert_files: Vec<String>,
    /// PEM file of the certificate that shows who we are
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    tls_client_cert_file: Option<String>,
    /// PEM file of that certificate's private key
    #[arg(long, global = true, value_name = "FILE", allow_hyphen_values = true)]
    tls_client_key_file: Option<String>,
    /// Name that the server's certificate must have, in place of the address's host
    #[arg(long, global = true, value_name = "NAME", allow_hyphen_values = true)]
    tls_server_name: Option<String>,
    /// User for basic authentication; needs TLS
    #[arg(long, global = true, value_name = "USER", allow_hyphen_values = true)]
    basic_auth_username: Option<String>,
    /// Password for basic authentication; needs TLS
    #[arg(long, global = true, value_name = "PASSWORD", allow_hyphen_values = true)]
    basic_auth_password: Option<String>,
}

impl ServerFlags {
    /// Values that were given, by name of the setting.
    pub(crate) fn given(&self) -> Vec<(&'static str, Vec<String>)> {
        let single = [
            ("server", &self.server),
            ("http-server", &self.http_server),
            ("timeout", &self.timeout),
            ("request-timeout", &self.request_timeout),
            ("tls", &self.tls),
            ("tls-allow-insecure", &self.tls_allow_insecure),
            ("tls-client-cert-file", &self.tls_client_cert_file),
            ("tls-client-key-file", &self.tls_client_key_file),
            ("tls-server-name", &self.tls_server_name),
            ("basic-auth-username", &self.basic_auth_username),
            ("basic-auth-password", &self.basic_auth_password),
        ];
        let mut given: Vec<_> =
            single.into_iter().filter_map(|(name, value)| Some((name, vec![value.clone()?]))).collect();
        if !self.tls_ca_cert_files.is_empty() {
            given.push(("tls-ca-cert-files", self.tls_ca_cert_files.clone()));
        }
        given
    }
}
