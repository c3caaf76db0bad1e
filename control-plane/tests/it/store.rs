//! The store: one contract for both backends, and what each must also withstand.

mod contract;
mod embedded;
mod etcd;

/// Runs every property of the contract on one backend, each on a store of its own.
macro_rules! contract {
    ($backend:ident, $place:ty; $($group:ident::$property:ident)*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    super::contract::$group::$property(&<$place>::new().await).await;
                }
            )*
        }
    };
}

/// The whole contract, for each backend the same.
macro_rules! contract_of {
    ($backend:ident, $place:ty) => {
        contract! { $backend, $place;
            reads::what_was_put_is_there_until_it_is_deleted
            reads::a_listing_is_in_order_and_keeps_to_its_prefix
            reads::a_listing_can_be_read_page_by_page
            reads::a_long_listing_is_of_one_revision
            reads::reopening_keeps_everything_and_the_revision_never_goes_back
            commits::preconditions_decide_over_the_whole_commit
            commits::revisions_grow_and_entries_name_their_last_write
            commits::a_commit_that_changes_nothing_takes_no_revision
            commits::a_commit_beyond_the_limits_is_refused_whole
            commits::the_largest_commit_is_accepted_read_and_watched
            commits::of_many_commits_on_one_key_exactly_one_wins
            commits::counting_with_preconditions_loses_nothing
            watches::a_watch_from_the_past_sees_every_change_in_order
            watches::a_watch_keeps_to_its_prefix
            watches::listing_and_watching_misses_nothing_under_writers
            watches::a_watch_of_what_was_forgotten_is_compacted
            watches::a_watch_from_the_future_waits_for_it
            watches::an_idle_watch_gives_signs_of_life
        }
    };
}

contract_of!(embedded_contract, crate::support::places::EmbeddedPlace);
contract_of!(etcd_contract, crate::support::places::EtcdPlace);
