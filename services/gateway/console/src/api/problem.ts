interface Detail {
  "@type"?: string;
  reason?: string;
  metadata?: Record<string, string>;
  fieldViolations?: { field?: string; description?: string }[];
}

/** What the API answered instead of what was asked for, in its own words. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    /** HTTP status; 0 means that there was no answer. */
    readonly status: number,
    /** For programs, such as REQUEST_DUPLICATE. */
    readonly reason: string,
    /** For people. */
    message: string,
    readonly metadata: Readonly<Record<string, string>> = {},
    /** What is wrong with a field, by the path that the API gives it. */
    readonly fields: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  /** Whether the same call may succeed in a while. */
  get mayPass(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 503;
  }

  /** Whether it asks for a sign-in that is more recent than the session's. */
  get wantsSignIn(): boolean {
    return this.reason === "INSUFFICIENT_USER_AUTHENTICATION";
  }

  static noAnswer(): Problem {
    return new Problem(0, "NO_ANSWER", "");
  }

  static async of(response: Response): Promise<Problem> {
    let body: { message?: string; details?: Detail[] } = {};
    try {
      body = (await response.json()) as typeof body;
    } catch {
      // Something between here and the API has answered.
    }
    const details = body.details ?? [];
    const info = details.find((d) => d.reason !== undefined);
    const violations = details.flatMap((d) => d.fieldViolations ?? []);
    return new Problem(
      response.status,
      info?.reason ?? "",
      body.message ?? response.statusText,
      info?.metadata,
      // A field may be wrong in more than one way.
      Object.fromEntries(violations.map((v) => [v.field ?? "", violations.filter((w) => w.field === v.field).map((w) => w.description ?? "").join("; ")])),
    );
  }
}
