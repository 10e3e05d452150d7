import { Link } from "@tanstack/react-router";
import { api } from "@/api/client";

/** A user by their id: the name, and the way to their page. */
export function Who({ id }: { id: string }) {
  const user = api.useQuery("get", "/v1/users/{id}", { params: { path: { id } } }, { staleTime: 60_000 }).data?.user;
  return (
    <Link to="/admin/people/$id" params={{ id }}>
      {user?.displayName ?? id}
    </Link>
  );
}
