//! Which layer of a manifest is the module.

use faultline_api::module::is_digest;
use oci_client::manifest::{OciDescriptor, OciManifest};

/// Bytes of a manifest. One of a module has a few hundred; annotations may make it longer.
pub(super) const MAX_MANIFEST: usize = 1 << 20;

/// Bytes of a module: the host takes no larger one.
pub(super) const MAX_MODULE: usize = 4 << 20;

/// Media types of a layer that is a module: Kubewarden's, and that of the WebAssembly working group.
const MODULE: [&str; 2] = ["application/vnd.wasm.content.layer.v1+wasm", "application/wasm"];

/// Why a manifest gives no module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is too large to be that of a module.
    #[error("it is larger than {MAX_MANIFEST} bytes")]
    TooLarge,
    /// It is not JSON, or not of this form.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is a list of others.
    #[error("it is an index of several manifests: name one of them by its digest")]
    Index,
    /// No layer is a module, or several are.
    #[error("it has {0} layers of the media types {types}, and needs one", types = MODULE.join(" and "))]
    NotOneModule(usize),
    /// A digest that cannot be verified here.
    #[error("its layer has no digest in sha256")]
    Digest,
    /// No host would take it.
    #[error("its module has {0} bytes, and at most {MAX_MODULE} are taken")]
    ModuleTooLarge(i64),
}

/// The one layer of `manifest` that is a module.
pub(super) fn module_layer(manifest: &[u8]) -> Result<OciDescriptor, ManifestError> {
    if manifest.len() > MAX_MANIFEST {
        return Err(ManifestError::TooLarge);
    }
    let manifest =
        serde_json::from_slice(manifest).map_err(|error| ManifestError::Unreadable(error.to_string()))?;
    let OciManifest::Image(image) = manifest else { return Err(ManifestError::Index) };
    let is_module = |layer: &OciDescriptor| MODULE.contains(&layer.media_type.as_str());
    let mut modules: Vec<OciDescriptor> = image.layers.into_iter().filter(is_module).collect();
    if modules.len() > 1 {
        return Err(ManifestError::NotOneModule(modules.len()));
    }
    let mut module = modules.pop().ok_or(ManifestError::NotOneModule(0))?;
    // The registry serves it, or nobody.
    module.urls = None;
    if !is_digest(&module.digest) {
        return Err(ManifestError::Digest);
    }
    match usize::try_from(module.size) {
        Ok(size) if size <= MAX_MODULE => Ok(module),
        _ => Err(ManifestError::ModuleTooLarge(module.size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(media_type: &str, size: i64) -> serde_json::Value {
        let digest = format!("sha256:{}", "ab".repeat(32));
        serde_json::json!({ "mediaType": media_type, "digest": digest, "size": size })
    }

    fn manifest(layers: &[serde_json::Value]) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": layer("application/vnd.wasm.config.v1+json", 2),
            "layers": layers,
        }))
        .unwrap()
    }

    #[test]
    fn the_one_layer_that_is_a_module_is_taken_whoever_pushed_it() {
        for media_type in MODULE {
            let other = layer("application/vnd.oci.image.layer.v1.tar", 7);
            let found = module_layer(&manifest(&[other, layer(media_type, 42)])).unwrap();
            assert_eq!((found.media_type.as_str(), found.size), (media_type, 42));
        }
    }

    #[test]
    fn what_is_not_the_manifest_of_one_module_is_refused() {
        let module = |size| layer(MODULE[0], size);
        let mut other_digest = module(1);
        other_digest["digest"] = "sha512:00".into();
        let index =
            br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        for (manifest, expected) in [
            (manifest(&[]), ManifestError::NotOneModule(0)),
            (manifest(&[layer("text/plain", 1)]), ManifestError::NotOneModule(0)),
            (manifest(&[module(1), module(1)]), ManifestError::NotOneModule(2)),
            (manifest(&[other_digest]), ManifestError::Digest),
            (manifest(&[module(-1)]), ManifestError::ModuleTooLarge(-1)),
            (manifest(&[module((4 << 20) + 1)]), ManifestError::ModuleTooLarge((4 << 20) + 1)),
            (index.to_vec(), ManifestError::Index),
            (vec![b' '; MAX_MANIFEST + 1], ManifestError::TooLarge),
        ] {
            assert_eq!(module_layer(&manifest).unwrap_err(), expected);
        }
        assert!(module_layer(&manifest(&[module(4 << 20)])).is_ok());
        assert!(matches!(module_layer(b"{}"), Err(ManifestError::Unreadable(_))));
    }
}
