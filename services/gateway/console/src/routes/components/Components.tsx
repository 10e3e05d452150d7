import { useState, type ReactNode } from "react";
import type { ZonedDateTime } from "@internationalized/date";
import type { RequestSummary, WorkItem } from "@/api/client";
import { Problem } from "@/api/problem";
import { AppIcon } from "@/components/AppIcon";
import { appIconNames } from "@/components/appIcons";
import { Ask } from "@/components/Ask";
import { Button } from "@/components/Button";
import { Check } from "@/components/Check";
import { Choice } from "@/components/Choice";
import { Chosen, ChosenPeople } from "@/components/Chosen";
import { CheckField } from "@/components/CheckField";
import { Confirm } from "@/components/Confirm";
import { Copy } from "@/components/Copy";
import { DateTime } from "@/components/DateTime";
import { Empty } from "@/components/Empty";
import { FindApp, FindGroup } from "@/components/Find";
import { Loading } from "@/components/Loading";
import { More } from "@/components/More";
import { Page } from "@/components/Page";
import { People } from "@/components/People";
import { Progress } from "@/components/Progress";
import { ProblemNote } from "@/components/ProblemNote";
import { RequestLine } from "@/components/RequestLine";
import { RouteSteps } from "@/components/RouteSteps";
import { RiskTag } from "@/components/RiskTag";
import { Row } from "@/components/Row";
import { Rows, whole } from "@/components/Rows";
import { SearchBox } from "@/components/SearchBox";
import { Select, SelectOrNone } from "@/components/Select";
import { ShownOnce } from "@/components/ShownOnce";
import { Suggested } from "@/components/Suggested";
import { Tag } from "@/components/Tag";
import { TaskLine } from "@/components/TaskLine";
import { TextBox } from "@/components/TextBox";
import { Time } from "@/components/Time";
import { tell } from "@/components/Toasts";
import { WorkItemLine } from "@/components/WorkItemLine";

/** Every shared component in every state, for those who write pages. */
export function Components() {
  const [choice, setChoice] = useState<"one" | "other">("one");
  const [chosen, setChosen] = useState(["first", "second", "third"]);
  const [people, setPeople] = useState<string[]>([]);
  const [date, setDate] = useState<ZonedDateTime | null>(null);
  const [picked, pick] = useState<"one" | "other">();
  const [words, setWords] = useState<string>();
  const [once, setOnce] = useState(false);
  const item = {
    id: "1",
    kind: "WORK_ITEM_KIND_FIX_OPERATION",
    state: "WORK_ITEM_STATE_OPEN",
    user: { userId: "00000000-0000-4000-8000-000000000000", displayName: "Ada Byron" },
    appName: "Code",
    entitlementNames: ["developers"],
    requestIds: ["00000000-0000-4000-8000-000000000000"],
    createTime: new Date(Date.now() - 3 * 3600_000).toISOString(),
    error: "the app answers 503 Service Unavailable",
  } as unknown as WorkItem;
  const request: RequestSummary = {
    id: "00000000-0000-4000-8000-000000000000",
    kind: "REQUEST_KIND_GRANT",
    state: "REQUEST_STATE_PENDING",
    createTime: new Date(Date.now() - 3 * 3600_000).toISOString(),
    beneficiary: { displayName: "Ada Byron" },
    items: [
      { id: "1", appName: "Code", entitlementName: "developers" },
      { id: "2", appName: "Code", entitlementName: "account" },
    ],
    hiddenItemCount: 0,
    waitsForReviewer: true,
  };
  return (
    <Page title="Components" lead="Every shared component in every state.">
      <Part name="Button" inRow>
        <Button kind="main">main</Button>
        <Button>beside others</Button>
        <Button kind="danger">danger</Button>
        <Button kind="plain">plain</Button>
        <Button isDisabled>disabled</Button>
        <Button isPending>pending</Button>
      </Part>
      <Part name="AppIcon" inRow>
        {appIconNames.map((icon) => (
          <AppIcon key={icon} name={icon} icon={icon} />
        ))}
        <AppIcon name="Without one" icon="" />
        <AppIcon small name="Small" icon="key" />
        <AppIcon small name="Ärger" icon="not-known" />
      </Part>
      <Part name="Tag" inRow>
        <Tag>none</Tag>
        <Tag tone="accent">accent</Tag>
        <Tag tone="good">good</Tag>
        <Tag tone="warn">warn</Tag>
        <Tag tone="bad">bad</Tag>
      </Part>
      <Part name="RiskTag" inRow>
        <RiskTag risk="ENTITLEMENT_RISK_LOW" />
        <RiskTag risk="ENTITLEMENT_RISK_MEDIUM" />
        <RiskTag risk="ENTITLEMENT_RISK_HIGH" />
        <RiskTag risk="ENTITLEMENT_RISK_CRITICAL" />
      </Part>
      <Part name="Suggested">
        <Suggested label="A text, with suggestions" hint="A hint" value={words ?? ""} onChange={setWords} of={["One", "The other"]} />
      </Part>
      <Part name="TextBox">
        <TextBox label="One line" hint="A hint" />
        <TextBox label="With an error" defaultValue="0" error="must be at least 1" />
        <TextBox label="More lines" lines placeholder="Placeholder" />
      </Part>
      <Part name="Choice">
        <Choice label="Choice" value={choice} onChange={setChoice} choices={{ one: "One", other: "The other" }} />
      </Part>
      <Part name="SelectOrNone">
        <SelectOrNone label="One of many, or none" value={picked} onChange={pick} none="All" choices={[["one", "One"], ["other", "The other"]]} />
        <SelectOrNone label="With an error" value={picked} onChange={pick} choices={[["one", "One"], ["other", "The other"]]} error="is not allowed" />
      </Part>
      <Part name="Check" inRow>
        <Check>Not selected</Check>
        <Check defaultSelected>Selected</Check>
        <Check isIndeterminate>Some</Check>
      </Part>
      <Part name="CheckField">
        <CheckField label="Yes or no" value={choice === "one"} onChange={(on) => setChoice(on ? "one" : "other")} />
        <CheckField label="With what it means" hint="What it does, in a sentence." value={choice === "one"} onChange={(on) => setChoice(on ? "one" : "other")} />
        <CheckField label="With an error" value={false} onChange={() => {}} error="is not possible" />
      </Part>
      <Part name="Select">
        <Select label="Select" hint="A hint" value={choice} onChange={setChoice} choices={{ one: "One", other: "The other" }} />
        <Select label="Select with an error" error="is not possible" value={choice} onChange={setChoice} choices={{ one: "One", other: "The other" }} />
      </Part>
      <Part name="SearchBox">
        <SearchBox label="Words to search for" placeholder="Name" value={words} onChange={setWords} />
      </Part>
      <Part name="Find">
        <FindApp label="An app" onFind={(found) => tell(found.name)} />
        <FindGroup label="A group" error="is not possible" onFind={(found) => tell(found.name)} />
      </Part>
      <Part name="Chosen and ChosenPeople">
        <Chosen label="What was chosen" ids={chosen} names={(id) => `The ${id}`} gone={["third"]} ordered onChange={setChosen} />
        <ChosenPeople label="People" ids={people} ordered onChange={setPeople} />
      </Part>
      <Part name="DateTime">
        <DateTime label="A time" value={date} onChange={setDate} />
        <DateTime label="With an error" value={date} onChange={setDate} error="has passed" />
      </Part>
      <Part name="People">
        <People label="A person" hint="Name or e-mail" onChoose={() => {}} />
      </Part>
      <Part name="Time" inRow>
        <Time at={new Date().toISOString()} /> <Time at={new Date(Date.now() + 3 * 86_400_000).toISOString()} relative />
      </Part>
      <Part name="Ask" inRow>
        <Ask trigger={<Button>Open</Button>} title="Title" label="Words" action="Do it" act={() => Promise.reject(new Problem(409, "TAKEN", "Somebody was faster."))}>
          <p>What it means.</p>
        </Ask>
      </Part>
      <Part name="Confirm" inRow>
        <Confirm
          trigger={<Button>Open the form</Button>}
          title="Title"
          fields={["name"]}
          action="Do it"
          act={() => Promise.reject(new Problem(400, "FIELD_INVALID", "A field is invalid.", {}, { name: "is taken" }))}
        >
          {(errors) => <TextBox label="Name" error={errors.name} />}
        </Confirm>
      </Part>
      <Part name="Copy and ShownOnce">
        <Copy label="Address" value="https://gatehouse.example/scim/v2" />
        <div>
          <Button onPress={() => setOnce(true)}>Show a secret</Button>
        </div>
        {once && <ShownOnce title="A token" label="Token" secret="not-a-secret" lost="Make another." onClose={() => setOnce(false)} />}
      </Part>
      <Part name="Toasts" inRow>
        <Button onPress={() => tell("It was done.")}>Tell</Button>
        <Button onPress={() => tell("Two items are gone.", { label: "Undo: two items again", act: () => new Promise((done) => setTimeout(done, 1_000, "Two items are here again.")) })}>Tell what can be undone</Button>
        <Button onPress={() => tell("One item is gone.", { label: "Undo: one item again", act: () => Promise.reject(new Problem(400, "MOVED_ON", "Somebody has changed it since.")) })}>
          Tell what cannot be undone any more
        </Button>
      </Part>
      <Part name="ProblemNote">
        <ProblemNote error={new Problem(400, "FIELD_INVALID", "A field is invalid.", {}, { until: "has passed" })} />
        <ProblemNote error={Problem.noAnswer()} again={() => {}} />
      </Part>
      <Part name="Loading">
        <Loading />
      </Part>
      <Part name="Empty">
        <Empty title="There is nothing.">
          <Button>Do the next thing</Button>
        </Empty>
      </Part>
      <Part name="More">
        <More list={{ hasNextPage: true, isFetchingNextPage: false, fetchNextPage: () => Promise.resolve() }} />
      </Part>
      <Part name="WorkItemLine">
        <ul className="list">
          <WorkItemLine item={item} whose />
        </ul>
      </Part>
      <Part name="RequestLine and TaskLine">
        <ul className="list">
          <RequestLine request={request} />
          <TaskLine task={{ id: "1", requestId: request.id, stepName: "Manager", createTime: request.createTime, itemIds: ["1"], substitution: "", request }} />
        </ul>
      </Part>
      <Part name="Progress">
        <Progress of={{ doneActions: 2, neededActions: 3, percent: 67 }} />
        <Progress mine of={{ doneActions: 0, neededActions: 1, percent: 0 }} />
        <Progress of={{ doneActions: 0, neededActions: 0, percent: 100 }} />
      </Part>
      <Part name="RouteSteps">
        <RouteSteps route={{ automatic: true, steps: [] }} />
        <RouteSteps
          route={{
            automatic: false,
            steps: [
              { name: "Manager", neededApprovals: 1, reviewerCount: 1, reviewers: [{ person: { displayName: "Ada Byron" }, substitution: "Emmy Noether has no manager; next in line: the app's admins" }] },
              { name: "Security", neededApprovals: 2, reviewerCount: 12, reviewers: ["Alan Turing", "Grace Hopper", "Mary Anning"].map((displayName) => ({ person: { displayName }, substitution: "" })) },
              { name: "Owner", neededApprovals: 1, reviewerCount: 0, reviewers: [], vacancy: { step: 3, stepName: "Owner", reason: "the app has no owner", help: [] } },
            ],
          }}
        />
      </Part>
      <Part name="Rows">
        <Rows label="Many rows" list={many} of={(rows) => rows} id={(row) => row}>
          {(row) => (
            <Row>
              <span className="what">
                <a href="#main">{row}</a>
                {row.endsWith("7") && <span className="quiet small">Not all rows are of the same height, and none must know how high the others are.</span>}
              </span>
              <Tag>a tag</Tag>
            </Row>
          )}
        </Rows>
      </Part>
    </Page>
  );
}

const many = whole(
  { data: true, error: null, isPending: false, refetch: () => Promise.resolve() },
  Array.from({ length: 100_000 }, (_, i) => `Row ${i + 1}`),
);

function Part({ name, inRow, children }: { name: string; inRow?: boolean; children: ReactNode }) {
  return (
    <section className="card">
      <h2>{name}</h2>
      <div className={inRow ? "row" : "stack"}>{children}</div>
    </section>
  );
}
