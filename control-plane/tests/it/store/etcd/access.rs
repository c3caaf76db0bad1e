//! Certificates on both sides, users and passwords.

use std::{path::PathBuf, sync::Arc, time::Duration};

use etcd_client::{Certificate, Client, ConnectOptions, Identity, Permission, PermissionType, TlsOptions};
use futures::StreamExt;
use headland_control_plane::store::{
    Change, SharedStore, StoreError,
    etcd::{EtcdOptions, EtcdStore, EtcdTls},
};
use headland_proto::revision::Revision;

use super::put;
use crate::{
    store::contract::watches::next_change,
    support::{certificates::Authority, etcd::Etcd, wait::within},
};

/// An etcd that asks for a client certificate and a user, and what it takes to use it.
struct Guarded {
    etcd: Etcd,
    authority: Authority,
    client: (PathBuf, PathBuf),
}

impl Guarded {
    async fn start() -> Self {
        let authority = Authority::new();
        // The members' names are not the address that they are reached by.
        let (cert, key) = authority.issue("etcd", "DNS:etcd.test");
        let client = authority.issue("control-plane", "DNS:control-plane.test");
        let ca = authority.certificate();
        let args = [
            ["--cert-file", cert.to_str().unwrap()],
            ["--key-file", key.to_str().unwrap()],
            ["--trusted-ca-file", ca.to_str().unwrap()],
        ];
        let mut args = args.concat();
        args.push("--client-cert-auth");
        let mut etcd = Etcd::prepare("https", &args);
        etcd.run();
        let mut guarded = Self { etcd, authority, client };
        let connect = guarded.connect();
        guarded.etcd.ready(connect).await;
        guarded.add_users().await;
        guarded
    }

    fn connect(&self) -> ConnectOptions {
        let read = |path: &PathBuf| std::fs::read(path).unwrap();
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(read(&self.authority.certificate())))
            .identity(Identity::from_pem(read(&self.client.0), read(&self.client.1)))
            .domain_name("etcd.test");
        ConnectOptions::new().with_tls(tls)
    }

    /// The user `headland` may use `/headland/` and nothing else.
    async fn add_users(&self) {
        let mut client = Client::connect([self.etcd.endpoint()], Some(self.connect())).await.unwrap();
        client.user_add("root", "root's", None).await.unwrap();
        client.user_grant_role("root", "root").await.unwrap();
        client.user_add("headland", "swordfish", None).await.unwrap();
        client.role_add("headland").await.unwrap();
        let all = Permission::new(PermissionType::Readwrite, "/headland/").with_prefix();
        client.role_grant_permission("headland", all).await.unwrap();
        client.user_grant_role("headland", "headland").await.unwrap();
        client.auth_enable().await.unwrap();
    }

    fn options(&self) -> EtcdOptions {
        EtcdOptions {
            endpoints: vec![self.etcd.endpoint()],
            username: Some("headland".to_owned()),
            password: Some("swordfish".to_owned()),
            tls: Some(EtcdTls {
                ca_file: self.authority.certificate(),
                cert_file: Some(self.client.0.clone()),
                key_file: Some(self.client.1.clone()),
                domain_name: Some("etcd.test".to_owned()),
            }),
            request_timeout: Duration::from_secs(10),
            dial_timeout: Duration::from_secs(3),
            ..EtcdOptions::default()
        }
    }
}

async fn open(options: EtcdOptions) -> SharedStore {
    Arc::new(EtcdStore::connect(options).await.unwrap())
}

#[tokio::test]
async fn certificates_and_a_user_open_the_store_and_a_restart_of_etcd_does_not_close_it() {
    let mut guarded = Guarded::start().await;
    let store = open(guarded.options()).await;
    store.commit(vec![], vec![put("a", "1")]).await.unwrap();
    let mut watch = store.watch("", Revision::ZERO).await.unwrap();
    let Change::Put(entry) = next_change(&mut watch).await else { panic!() };
    assert_eq!(entry.value, "1");

    // etcd forgets the tokens that it gave out.
    guarded.etcd.kill();
    let end = within("the end of the watch", async {
        loop {
            if let Err(error) = watch.next().await.unwrap() {
                return error;
            }
        }
    });
    let end = end.await;
    assert!(matches!(end, StoreError::Unavailable { .. }), "{end}");
    guarded.etcd.run();
    let connect = guarded.connect();
    guarded.etcd.ready(connect).await;
    store.commit(vec![], vec![put("a", "2")]).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().value, "2");
    let mut watch = store.watch("", entry.modified.next()).await.unwrap();
    let Change::Put(entry) = next_change(&mut watch).await else { panic!() };
    assert_eq!(entry.value, "2");
}

#[tokio::test]
async fn who_lacks_something_is_told_what() {
    type Spoil = fn(&mut EtcdOptions, &Authority);
    let guarded = Guarded::start().await;
    let other = Authority::new();
    let cases: [(&str, Spoil, &str, bool); 6] = [
        ("wrong password", |o, _| o.password = Some("sword".to_owned()), "authentication failed", true),
        ("no user", |o, _| (o.username, o.password) = (None, None), "permission denied", true),
        ("another's prefix", |o, _| o.prefix = "/other/".to_owned(), "permission denied", true),
        (
            "another authority",
            |o, other| o.tls.as_mut().unwrap().ca_file = other.certificate(),
            "certificate",
            false,
        ),
        ("another name", |o, _| o.tls.as_mut().unwrap().domain_name = None, "certificate", false),
        (
            "no certificate",
            |o, _| {
                let tls = o.tls.as_mut().unwrap();
                (tls.cert_file, tls.key_file) = (None, None);
            },
            "",
            false,
        ),
    ];
    for (name, spoil, expected, for_good) in cases {
        let mut options = guarded.options();
        options.request_timeout = Duration::from_secs(2);
        spoil(&mut options, &other);
        let store = open(options).await;
        let failures = [
            store.get("a").await.map(|_| ()).unwrap_err(),
            store.list("", None, None).await.map(|_| ()).unwrap_err(),
            store.commit(vec![], vec![put("a", "1")]).await.map(|_| ()).unwrap_err(),
        ];
        for error in failures {
            assert!(error.to_string().contains(expected), "{name}: {error}");
            assert_eq!(matches!(error, StoreError::Failed { .. }), for_good, "{name}: {error:?}");
        }
    }
    // None of them wrote anything.
    assert_eq!(open(guarded.options()).await.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_named() {
    let tls =
        EtcdTls { ca_file: "/nowhere/ca.pem".into(), cert_file: None, key_file: None, domain_name: None };
    let options = EtcdOptions {
        endpoints: vec!["https://127.0.0.1:1".to_owned()],
        tls: Some(tls),
        ..EtcdOptions::default()
    };
    let error = EtcdStore::connect(options).await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}
