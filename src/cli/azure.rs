//! What the environment says about Azure: credentials, and hosts that may be asked.
//!
//! Knows the names of the variables; what they lead to is the business of `keys::azure_kv`.

use sops_rs::keys::azure_kv::{AzureKvService, AzureSettings};
use sops_rs::recipient::split_list;
use zeroize::Zeroizing;

use super::context::Context;

/// The key service for Azure Key Vault. Reads variables, nothing else.
pub(crate) fn service(context: &Context) -> AzureKvService {
    let text = |name: &str| Some(context.variable(name)?.to_string_lossy().into_owned());
    let path = |name: &str| {
        context
            .variable(name)
            .map(|path| context.resolve(path.as_ref()))
    };
    let allowed = text("SOPS_RS_AZURE_VAULT_ALLOWLIST").unwrap_or_default();
    AzureKvService::new(AzureSettings {
        tenant_id: text("AZURE_TENANT_ID"),
        client_id: text("AZURE_CLIENT_ID"),
        client_secret: text("AZURE_CLIENT_SECRET").map(Zeroizing::new),
        client_certificate: path("AZURE_CLIENT_CERTIFICATE_PATH"),
        federated_token_file: path("AZURE_FEDERATED_TOKEN_FILE"),
        authority_host: text("AZURE_AUTHORITY_HOST"),
        allowed_hosts: split_list(&allowed).map(str::to_owned).collect(),
    })
}
