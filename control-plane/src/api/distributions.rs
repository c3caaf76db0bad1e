//! The operator's API over distributions.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use headland_proto::{
    model::Violations,
    v1::{
        CreateDistributionRequest, DeleteDistributionRequest, Distribution, DistributionStatus,
        GetDistributionRequest, ListDistributionsRequest, ListDistributionsResponse,
        UpdateDistributionRequest, distribution_service_server::DistributionService,
        distribution_status::State,
    },
};
use tonic::{Request, Response, Status};

use super::{answer, status};
use crate::{
    distributions::{Distributions, Error, Filter, Stored},
    etag::Etag,
    fleet::{Fleet, Observed},
    metrics::Metrics,
    page::Page,
};

/// The service.
#[derive(Debug)]
pub(crate) struct DistributionApi {
    pub(crate) distributions: Distributions,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) metrics: Arc<Metrics>,
}

impl DistributionApi {
    fn observe(&self) -> Observed {
        self.fleet.observe(Instant::now().into())
    }

    fn answer<T>(&self, method: &'static str, result: Result<T, Error>) -> Result<Response<T>, Status> {
        answer(&self.metrics, method, result.map_err(|error| status::from_distributions(&error)))
    }
}

/// Refusals, and origin problems, of each distribution in a list; all of them are in the answer to a get.
const FINDINGS_IN_LIST_MAX: usize = 3;

fn encode(stored: Stored, observed: &Observed) -> Distribution {
    let Stored { record, revision } = stored;
    Distribution {
        etag: Etag(revision).to_string(),
        revision: revision.0,
        status: Some(observed.status(&record.id, revision)),
        id: record.id,
        domain_name: record.domain_name,
        create_time: record.create_time,
        update_time: record.update_time,
        config: record.config,
    }
}

/// As it stands in a list: with a few findings at most, since a page of distributions in trouble must fit into a message.
fn in_list(mut distribution: Distribution) -> Distribution {
    if let Some(status) = &mut distribution.status {
        status.refusals.truncate(FINDINGS_IN_LIST_MAX);
        status.origin_problems.truncate(FINDINGS_IN_LIST_MAX);
    }
    distribution
}

#[tonic::async_trait]
impl DistributionService for DistributionApi {
    async fn create_distribution(
        &self,
        request: Request<CreateDistributionRequest>,
    ) -> Result<Response<Distribution>, Status> {
        let config = request.into_inner().config.unwrap_or_default();
        let result = self.distributions.create(&config, SystemTime::now()).await;
        self.answer("CreateDistribution", result.map(|stored| encode(stored, &self.observe())))
    }

    async fn get_distribution(
        &self,
        request: Request<GetDistributionRequest>,
    ) -> Result<Response<Distribution>, Status> {
        let result = self.distributions.get(&request.get_ref().id).await;
        self.answer("GetDistribution", result.map(|stored| encode(stored, &self.observe())))
    }

    async fn list_distributions(
        &self,
        request: Request<ListDistributionsRequest>,
    ) -> Result<Response<ListDistributionsResponse>, Status> {
        let ListDistributionsRequest { page_size, page_token, filter } = request.into_inner();
        let (page, mut found) = match Page::parse(page_size, &page_token) {
            Ok(page) => (Some(page), Violations::default()),
            Err(found) => (None, found),
        };
        let filter = Filter::parse(filter, &mut found);
        let result = match (page, found.into_result(())) {
            (Some(page), Ok(())) => self.distributions.list(&page, &filter).await,
            (_, found) => Err(Error::Invalid(found.err().unwrap_or_default())),
        };
        let observed = self.observe();
        let response = result.map(|listed| ListDistributionsResponse {
            distributions: listed
                .distributions
                .into_iter()
                .map(|stored| in_list(encode(stored, &observed)))
                .filter(|d| {
                    filter.matches_state(
                        d.status.as_ref().map_or(State::Unspecified, DistributionStatus::state),
                    )
                })
                .collect(),
            next_page_token: listed.next_page_token.unwrap_or_default(),
        });
        self.answer("ListDistributions", response)
    }

    async fn update_distribution(
        &self,
        request: Request<UpdateDistributionRequest>,
    ) -> Result<Response<Distribution>, Status> {
        let UpdateDistributionRequest { id, etag, config } = request.into_inner();
        let config = config.unwrap_or_default();
        let result = self.distributions.update(&id, &etag, &config, SystemTime::now()).await;
        self.answer("UpdateDistribution", result.map(|stored| encode(stored, &self.observe())))
    }

    async fn delete_distribution(
        &self,
        request: Request<DeleteDistributionRequest>,
    ) -> Result<Response<()>, Status> {
        let DeleteDistributionRequest { id, etag } = request.into_inner();
        let result = self.distributions.delete(&id, &etag).await;
        self.answer("DeleteDistribution", result)
    }
}
