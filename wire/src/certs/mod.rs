//! `faultline certs init`: an authority, and certificates that it issues to the reconciler and to nodes.
//!
//! A node's certificate may only be used by a client and names the node; the reconciler's may only be used by a
//! server. So a node cannot pose as another node, nor as the reconciler.

mod files;
mod issue;

use std::{io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use thiserror::Error;

use files::Store;
use issue::Authority;

use crate::node::node_name;

/// The authority outlives what it issues by far, so that adding nodes later needs no new one.
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Clocks of nodes may be behind by this much.
const BACKDATE: Duration = Duration::from_secs(3600);

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folder of the files; made if it is not there.
    pub dir: PathBuf,
    /// A `<node>.crt` and `<node>.key` each.
    pub nodes: Vec<String>,
    /// DNS names and IP addresses under which agents dial the reconciler; empty: no certificate for it.
    pub server_names: Vec<String>,
    /// How long the certificates of nodes and reconciler last. At most as long as the authority's.
    pub validity: Duration,
    /// The present.
    pub now: Timestamp,
    /// Issue anew what is already there. The authority is kept even so.
    pub force: bool,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// Whether it is a private key, which only its owner can read.
    pub secret: bool,
}

/// Why no certificates were made.
#[derive(Debug, Error)]
pub enum CertsError {
    /// Neither nodes nor server names.
    #[error("nothing to issue: name at least one node or server name")]
    Nothing,
    /// It would be overwritten.
    #[error("{} is already there: use force to issue it anew", .0.display())]
    AlreadyThere(PathBuf),
    /// Half an authority.
    #[error("{} is there without {}: both are needed to add to an authority", .present.display(), .absent.display())]
    HalfAuthority {
        /// The one.
        present: PathBuf,
        /// The other.
        absent: PathBuf,
    },
    /// The authority's files are not usable.
    #[error("{} is not the certificate or key of an authority: {reason}", .path.display())]
    BadAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The authority cannot issue any more.
    #[error("the authority in {} expired at {ended}", .path.display())]
    ExpiredAuthority {
        /// Its certificate.
        path: PathBuf,
        /// When.
        ended: Timestamp,
    },
    /// A node's name cannot be a file's, or is taken.
    #[error("{0:?} cannot be a node: expected letters, digits, `.` and `-`, and not `ca` or `reconciler`")]
    NodeName(String),
    /// A server name is neither a DNS name nor an IP address.
    #[error("{0:?} is neither a DNS name nor an IP address")]
    ServerName(String),
    /// The validity is not between an hour and ten years.
    #[error("certificates last from 1 hour to 10 years")]
    Validity,
    /// A certificate could not be made.
    #[error("cannot issue a certificate")]
    Issue(#[from] rcgen::Error),
    /// A file could not be read or written.
    #[error("cannot access {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the authority if there is none, and the certificates asked for. Nothing is written unless all can be.
///
/// # Errors
/// The request is not valid, something is already there, or a file cannot be written.
pub fn init(request: &Request) -> Result<Vec<Written>, CertsError> {
    let Request { dir, nodes, server_names, validity, now, force } = request;
    check(request)?;
    let store = Store::new(dir);
    let mut pairs = Vec::new();
    let authority = match store.authority()? {
        Some(pair) => Authority::load(pair, *now)?,
        None => {
            let (authority, pair) = Authority::create(*now, AUTHORITY_VALIDITY)?;
            pairs.push(pair);
            authority
        }
    };
    if !server_names.is_empty() {
        pairs.push(authority.issue_server("reconciler", server_names, *now, *validity)?);
    }
    for node in nodes {
        pairs.push(authority.issue_node(node, *now, *validity)?);
    }
    store.write(&pairs, *force)
}

fn check(request: &Request) -> Result<(), CertsError> {
    if request.nodes.is_empty() && request.server_names.is_empty() {
        return Err(CertsError::Nothing);
    }
    if !(Duration::from_secs(3600)..=AUTHORITY_VALIDITY).contains(&request.validity) {
        return Err(CertsError::Validity);
    }
    match request.nodes.iter().find(|name| !can_be_issued(name)) {
        Some(name) => Err(CertsError::NodeName(name.clone())),
        None => Ok(()),
    }
}

/// A node's name, and not one of those that other files are called.
fn can_be_issued(name: &str) -> bool {
    node_name(name).is_ok() && !["ca", "reconciler"].contains(&name)
}

#[cfg(test)]
mod tests;
