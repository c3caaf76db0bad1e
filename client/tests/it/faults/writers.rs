//! Operators who create distributions as fast as they can, and remember what was acknowledged.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use headland::{
    client::Client,
    spec::{DistributionSpec, OriginSpec},
};
use tokio::task::JoinHandle;

use crate::network::{control_plane::ControlPlane, wait::until};

/// Writers at work. They go on through failures until they are told to stop.
pub(crate) struct Writers {
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts this many writers for each control plane.
    pub(crate) fn start(control_planes: &[&ControlPlane], each: usize) -> Self {
        let (acknowledged, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let clients = control_planes.iter().flat_map(|c| std::iter::repeat_with(|| c.client()).take(each));
        let tasks =
            clients.map(|client| tokio::spawn(write(client, Arc::clone(&acknowledged), Arc::clone(&stop))));
        let tasks = tasks.collect();
        Self { acknowledged, stop, tasks }
    }

    pub(crate) fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().expect("lock").clone()
    }

    /// Waits until this many more are acknowledged than now.
    pub(crate) async fn more(&self, number: usize) {
        let wanted = self.acknowledged().len() + number;
        until(&format!("{number} more acknowledged distributions"), || {
            std::future::ready((self.acknowledged().len() >= wanted).then_some(()))
        })
        .await;
    }

    /// Stops them. Returns the ids of everything that was acknowledged.
    pub(crate) async fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer ends");
        }
        let acknowledged = self.acknowledged.lock().expect("lock");
        acknowledged.clone()
    }
}

async fn write(client: Client, acknowledged: Arc<Mutex<BTreeSet<String>>>, stop: Arc<AtomicBool>) {
    let origin = OriginSpec::from_url("http://origin.example.com").expect("a URL");
    let spec = DistributionSpec::default().with_origin(origin);
    while !stop.load(Ordering::Relaxed) {
        match client.create_distribution((&spec).into()).await {
            Ok(created) => {
                acknowledged.lock().expect("lock").insert(created.id);
            }
            // The next try may find the control plane back.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        // Leaves the processor to those who are tested.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The ids of all distributions that a control plane lists.
pub(crate) async fn listed(control_plane: &ControlPlane) -> BTreeSet<String> {
    let all = control_plane.client().distributions().all().await.expect("a list");
    all.into_iter().map(|d| d.id).collect()
}
